"""Which plain backup is meant by a path: the file itself, or the newest complete one of several.

A folder that is itself a backup (a directory-format dump, an ``appendonlydir``, a repository) is
that backup; any other folder, and a pattern such as ``/backups/*.dump``, holds several.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backup_lib.destinations.base import MANIFEST_NAME
from backup_lib.format.plain.detect import kind_of
from backup_lib.format.plain.kinds import PlainKind
from backup_lib.services.plain_moments import made
from restoreproof.errors import Inconclusive, JudgedBad, UsageError

UNFINISHED = (".partial", ".part", ".tmp", ".temp", ".incomplete", ".inprogress")
"""Endings of the names of files that are still being written."""

_NAMED = 3
_WILD = frozenset("*?[")
_NUMBER = re.compile(r"\d+")
_WEST_MOST = timedelta(hours=12)
"""Local time is at most so far behind UTC."""


@dataclass(frozen=True, slots=True)
class PlainBackup:
    """A plain backup that was found.

    Attributes:
        path: the file or folder.
        size: stored bytes.
        modified: when it, or the newest file in it, was last written.
        made: when it was made, as it says itself, in the local time of its maker where it has no
            time zone; None for formats that do not tell.
        passed_over: names of newer files and folders that are no complete backup, and why.
    """

    path: Path
    size: int
    modified: datetime
    made: datetime | None = None
    passed_over: tuple[str, ...] = ()

    @property
    def moment(self) -> datetime:
        """The moment that its age is counted from: it was last written then, or made before.

        A copy has a new time of modification. What an archive says of itself shows that, without a
        time zone as far as it must be older in every one.
        """
        if self.made is None:
            return self.modified
        if self.made.tzinfo is not None:
            return min(self.modified, self.made)
        return min(self.modified, self.made.replace(tzinfo=UTC) + _WEST_MOST)

    @property
    def order(self) -> tuple[datetime, str]:
        """What the newest one has most of: the time inside, else that of the last change."""
        return (self.made.astimezone(UTC) if self.made else self.modified, self.path.name)


def _any_kind(_kind: PlainKind) -> bool:
    return True


def find_backup(path: Path, admits: Callable[[PlainKind], bool] = _any_kind) -> PlainBackup:
    """The backup at ``path``, or the newest complete one in that folder or of that pattern.

    Args:
        path: a file, folder or pattern.
        admits: which kinds are meant, where there are several files.

    Raises:
        JudgedBad: there is none.
        Inconclusive: it cannot be read, nothing in the folder is known as a backup, or a newer
            file is named like the newest backup and not known as one.
        UsageError: it is no path.
    """
    facts = _facts(path)
    if facts is None:
        if _WILD.isdisjoint(str(path)):
            raise JudgedBad(f"{path} is missing", hint="was it made, and is the path right?")
        return _newest(path, list(_matches(path)), admits)
    if stat.S_ISDIR(facts.st_mode) and (path / MANIFEST_NAME).exists():
        raise Inconclusive(
            f"{path} is a backup set with a manifest, and no plain backup",
            hint="inv backup.verify judges it by its manifest; here, name one of its files",
        )
    if stat.S_ISDIR(facts.st_mode) and _kind(path) is PlainKind.UNKNOWN:
        return _newest(
            path, _entries(path), lambda kind: kind is not PlainKind.UNKNOWN and admits(kind)
        )
    return _look(path, facts)


def _newest(where: Path, entries: list[Path], admits: Callable[[PlainKind], bool]) -> PlainBackup:
    if not entries:
        raise JudgedBad(
            f"there is no backup at {where}", hint="was one made, and is the path right?"
        )
    passed_over: list[str] = []
    unfinished: list[str] = []
    unknown: list[Path] = []
    others = 0
    for found in sorted(_backups(entries), key=lambda one: one.order, reverse=True):
        reason = _unfinished(found)
        if reason:
            unfinished.append(f"{found.path.name} ({reason})")
            passed_over.append(unfinished[-1])
            continue
        kind = _kind(found.path)
        if admits(kind):  # looked into from the newest on, until one will do
            _demand_no_newer(unknown, found)
            return replace(found, passed_over=tuple(passed_over))
        others += 1
        if kind is PlainKind.UNKNOWN:
            unknown.append(found.path)
            passed_over.append(f"{found.path.name} (not known as a backup)")
    if unfinished:
        raise JudgedBad(
            f"there is no complete backup at {where}, only {', '.join(unfinished[:_NAMED])}",
            hint="look whether the backup job is still at work, or what ended it",
        )
    raise Inconclusive(
        f"nothing at {where} is known as such a backup ({others} other files and folders)",
        hint="name the file itself, and its type",
    )


def _demand_no_newer(unknown: Iterable[Path], found: PlainBackup) -> None:
    """A newer file that is named like the backup is more likely a damaged one than another thing.

    Raises:
        Inconclusive: there is one.
    """
    for newer in unknown:
        if newer.is_dir() == found.path.is_dir() and _ending(newer) == _ending(found.path):
            raise Inconclusive(
                f"{newer.name} is newer than {found.path.name}, named like it, and not known as a "
                "backup",
                hint="look whether it is the newest backup, and damaged; if it is none, move it "
                "away or name the backup itself",
            )


def _ending(path: Path) -> str:
    """What names of the same series end with: the numbers (dates, generations) do not count."""
    return _NUMBER.sub("0", path.suffix.lower())


def _backups(entries: Iterable[Path]) -> Iterator[PlainBackup]:
    """Files and folders; what is neither, or went away meanwhile, is left out."""
    for entry in entries:
        facts = _facts(entry)
        if facts and (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
            yield _look(entry, facts)


def _unfinished(found: PlainBackup) -> str:
    if found.path.name.lower().endswith(UNFINISHED):
        return "still being written"
    if not found.size:
        return "empty"
    if found.path.is_dir() and _kind(found.path) is PlainKind.POSTGRES_DIRECTORY:
        return "" if (found.path / "toc.dat").exists() else "toc.dat, written last, is missing"
    return ""


def _look(path: Path, facts: os.stat_result) -> PlainBackup:
    modified = facts.st_mtime
    size = facts.st_size
    if stat.S_ISDIR(facts.st_mode):
        inner = [inner.stat() for inner in _files(path)]
        size = sum(one.st_size for one in inner)
        modified = max((one.st_mtime for one in inner), default=modified)
    elif not stat.S_ISREG(facts.st_mode):
        raise Inconclusive(
            f"{path} is neither a file nor a folder", hint="name a file, a folder or a pattern"
        )
    return PlainBackup(path, size, datetime.fromtimestamp(modified, UTC), _made(path))


def _made(path: Path) -> datetime | None:
    try:
        return made(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _kind(path: Path) -> PlainKind:
    try:
        return kind_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _facts(path: Path) -> os.stat_result | None:
    """None where it is missing."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise UsageError(
            "a path holds a zero byte, which no name of a file does", hint="name an existing file"
        ) from error


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, hidden files left out."""
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise _unreadable(folder, error) from error


def _files(folder: Path) -> list[Path]:
    try:
        return [inner for inner in folder.rglob("*") if inner.is_file()]
    except OSError as error:
        raise _unreadable(folder, error) from error


def _matches(pattern: Path) -> Iterator[Path]:
    """Files that match, in a folder that can be read: an unreadable one is not an empty one."""
    base = pattern
    while not _WILD.isdisjoint(str(base)):
        base = base.parent
    if _facts(base) is None:
        return
    _entries(base)
    try:
        yield from (p for p in base.glob(str(pattern.relative_to(base))) if p.name[:1] != ".")
    except ValueError as error:
        raise UsageError(f"{pattern} is no pattern: {error}", hint="such as *.dump") from error


def _unreadable(path: Path, error: OSError) -> Inconclusive:
    return Inconclusive(
        f"{path} cannot be read: {(error.strerror or 'unknown reason').lower()}",
        hint="check its permissions and the device that it is on",
    )
