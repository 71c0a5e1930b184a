"""One configuration file for all packages: found, read, and checked with file, key and line."""

from __future__ import annotations

from restoreproof.config.document import FILE_NAME, TOP_LEVEL, Document, find, read
from restoreproof.config.problems import ConfigProblems, LocatedProblem

__all__ = ["FILE_NAME", "TOP_LEVEL", "ConfigProblems", "Document", "LocatedProblem", "find", "read"]
