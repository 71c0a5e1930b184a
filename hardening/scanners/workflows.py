"""What the scanners of GitHub workflows have in common: which files there are."""

from __future__ import annotations

from abc import ABC
from pathlib import Path, PurePosixPath
from typing import TypeVar

from hardening.scanners.plugin import FileScanner, PathSettings


class WorkflowSettings(PathSettings):
    """``[scanner.NAME]`` of a kind that reads workflows."""

    paths: tuple[str, ...] = (".github/workflows",)
    """Files and folders, relative to the root; in folders, ``*.yml`` and ``*.yaml``."""


W = TypeVar("W", bound=WorkflowSettings)


class WorkflowScanner(FileScanner[W], ABC):
    """A scanner of workflows."""

    def accepts(self, path: PurePosixPath, _root: Path) -> bool:
        return path.suffix in {".yml", ".yaml"}
