"""What there is to look at below a folder. No link is followed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

PRUNED = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        ".nox",
        ".tox",
        ".eggs",
        "node_modules",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
        ".restoreproof",
        ".scanners",
    }
)
"""Folders that hold what was installed or made, not what is written here."""

VENDORED = frozenset({"_vendor", "vendor", "vendored", "third_party", "_vendored"})
"""Names of folders that hold copies of other people's packages."""

_STRING = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1""")
_VALUE = re.compile(r"((?<=\w)(?:=|:\s))\S+")
_SETS = re.compile(r"\s*(?:ENV|ARG|LABEL)\s+[\w.-]+", re.IGNORECASE)


def files_below(
    root: Path, accept: Callable[[PurePosixPath], bool], starts: Iterable[str] = (".",)
) -> tuple[str, ...]:
    """The files that are accepted, relative to ``root``, sorted.

    Args:
        root: a folder.
        accept: whether a relative path is wanted.
        starts: files and folders to begin with, relative to ``root``.
    """
    found: set[str] = set()
    for start in starts:
        path = root / start
        if path.is_file():
            relative = PurePosixPath(os.path.relpath(path, root))
            if accept(relative):
                found.add(str(relative))
        else:
            found.update(str(one) for one in _walk(root, path) if accept(one))
    return tuple(sorted(found))


def vendored_below(root: Path) -> tuple[str, ...]:
    """Copies of packages without metadata: nobody can tell which version they are."""
    found = []
    for folder in _folders(root):
        if folder.name not in VENDORED:
            continue
        for entry in sorted(_entries(folder), key=lambda one: one.name):
            if not entry.is_dir(follow_symlinks=False) or entry.name in PRUNED:
                continue
            if not _is_metadata(entry.name) and not _has_metadata(folder, entry.name):
                found.append(str(PurePosixPath(os.path.relpath(entry.path, root))))
    return tuple(sorted(found))


def line_of(path: Path, line: int) -> str:
    """That line of a file, counted from 1; empty where there is none. Reads no further."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, text in enumerate(file, 1):
                if number == line:
                    return text
                if number > line:
                    break
    except OSError:
        pass
    return ""


def without_values(line: str) -> str:
    """A line as evidence: spaces squeezed, without strings and values, which may be secrets."""
    line = _STRING.sub(r"\1\1", line)
    old_style = _SETS.match(line)
    if old_style:
        return old_style[0]
    return " ".join(_VALUE.sub(r"\1", line).split())[:300]


def _is_metadata(name: str) -> bool:
    return name.endswith((".dist-info", ".egg-info"))


def _has_metadata(folder: Path, name: str) -> bool:
    """Whether a scanner finds out what that copy is: Python's metadata, or another manifest."""
    known = ("package.json", "METADATA", "PKG-INFO", "go.mod", "Cargo.toml", "composer.json")
    if any((folder / name / manifest).is_file() for manifest in known):
        return True
    normal = name.lower().replace("-", "_")
    return any(
        _is_metadata(other.name) and other.name.lower().replace("-", "_").startswith(f"{normal}_")
        for other in _entries(folder)
    )


def _folders(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False) and entry.name not in PRUNED:
            yield Path(entry.path)
            yield from _folders(Path(entry.path))


def _walk(root: Path, folder: Path) -> Iterator[PurePosixPath]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in PRUNED:
                yield from _walk(root, Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield PurePosixPath(os.path.relpath(entry.path, root))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
