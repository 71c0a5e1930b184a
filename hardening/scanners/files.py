"""What there is to look at below a folder. No link is followed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hardening.model import Cause, NotScanned
from restoreproof.quantities import readable_size

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

LARGEST = 1 << 20
"""Bytes of one file beyond which no tool is given it: nobody wrote that by hand, and some take a
hundred times as much memory for it."""

VENDORED = frozenset({"_vendor", "vendor", "vendored", "third_party", "_vendored"})
"""Names of folders that hold copies of other people's packages."""

_STRING = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1""")
_VALUE = re.compile(r"((?<=\w)(?:=|:\s))\S+")
_SETS = re.compile(r"\s*(?:ENV|ARG|LABEL)\s+[\w.-]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class There:
    """What there is to look at, and what there may be but cannot be told.

    Attributes:
        files: relative to the root, sorted.
        gaps: folders and files that cannot be read, starts that are not there, links that lead
            away: nobody knows what a tool would say of them.
    """

    files: tuple[str, ...] = ()
    gaps: tuple[NotScanned, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that somebody has to say a word about."""
        return tuple(sorted({*self.files, *(gap.name for gap in self.gaps)}))


def there_is(
    root: Path,
    accept: Callable[[PurePosixPath], bool],
    starts: Iterable[str] = (".",),
    *,
    demanded: bool = False,
    skipped: Iterable[str] = (),
    by_name: bool = True,
    most: int | None = None,
) -> There:
    """What there is below ``root``.

    Args:
        root: a folder.
        accept: whether a relative path is wanted.
        starts: files and folders to begin with, relative to ``root``.
        demanded: whether a start that is not there is a gap: somebody wrote it down.
        skipped: folders that are left out, relative to ``root``.
        by_name: whether ``accept`` goes by the name, so that a link or a pipe of such a name is a
            gap; where everything is accepted, links are nobody's content.
        most: bytes; a larger file is a gap.
    """
    walk = _Walk(root, accept, frozenset(skipped), by_name, most)
    for start in starts:
        walk.begin(start, demanded=demanded)
    return walk.result()


@dataclass(slots=True)
class _Walk:
    root: Path
    accept: Callable[[PurePosixPath], bool]
    skipped: frozenset[str]
    by_name: bool
    most: int | None
    files: set[str] = field(default_factory=set)
    gaps: dict[str, NotScanned] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def begin(self, start: str, *, demanded: bool) -> None:
        path = self.root / start
        try:
            inside = path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            inside = False
        if not path.exists():
            if demanded or os.path.lexists(path):
                self._gap(start, "is not there", "mend its name in the configuration")
        elif not inside:
            self._gap(start, "leads out of what is scanned", "scan that folder by itself")
        elif path.is_dir():
            self._folder(path)
        else:
            relative = PurePosixPath(os.path.relpath(path, self.root))
            if self.accept(relative):
                self._file(str(relative), path)

    def result(self) -> There:
        for name, target in self.links.items():
            if target not in self.files:
                self._gap(name, "is a link to something that is not looked at", "scan its target")
        gaps = tuple(self.gaps[name] for name in sorted(self.gaps))
        return There(tuple(sorted(self.files - set(self.gaps))), gaps)

    def _folder(self, folder: Path) -> None:
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            self._gap(self._told(folder), f"the folder cannot be read: {error.strerror}")
            return
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in PRUNED and self._told(path) not in self.skipped:
                    self._folder(path)
            elif self.accept(PurePosixPath(self._told(path))):
                self._entry(entry, path)

    def _entry(self, entry: os.DirEntry[str], path: Path) -> None:
        name = self._told(path)
        if entry.is_file(follow_symlinks=False):
            self._file(name, path)
        elif not self.by_name:
            return
        elif not entry.is_symlink():
            self._gap(name, "is not a regular file")
        elif not path.is_dir():
            self.links[name] = os.path.relpath(os.path.realpath(path), os.path.realpath(self.root))

    def _file(self, name: str, path: Path) -> None:
        if not os.access(path, os.R_OK):
            self._gap(name, "cannot be read: Permission denied")
        elif self.most is not None and path.stat().st_size > self.most:
            self._gap(name, f"is larger than {readable_size(self.most)}", "leave it out")
        else:
            self.files.add(name)

    def _told(self, path: Path) -> str:
        return os.path.relpath(path, self.root)

    def _gap(self, name: str, reason: str, hint: str = "") -> None:
        self.gaps.setdefault(name, NotScanned(name, reason, hint, Cause.UNREADABLE))


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


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
