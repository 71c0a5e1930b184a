"""Patterns over paths and subjects, as in ``.gitignore``: ``*`` within a folder, ``**`` across."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    text = ""
    position = 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            text, position = text + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            text, position = text + ".*", position + 2
        elif pattern[position] == "*":
            text, position = text + "[^/]*", position + 1
        elif pattern[position] == "?":
            text, position = text + "[^/]", position + 1
        else:
            text, position = text + re.escape(pattern[position]), position + 1
    return re.compile(text, re.DOTALL)


def matches_path(path: str, pattern: str) -> bool:
    """Whether the whole path matches."""
    return _compiled(pattern).fullmatch(path) is not None


def matches_subject(subject: str, pattern: str) -> bool:
    """Whether a subject matches: ``django@*``; a package without ``@`` means every version."""
    if fnmatchcase(subject, pattern):
        return True
    return "@" not in pattern and fnmatchcase(subject.rpartition("@")[0] or subject, pattern)
