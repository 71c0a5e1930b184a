"""An ``appendonlydir`` that was copied by some other tool, into a disposable server.

A copy of a living server may end with half a command. A server drops that when it starts
(``aof-load-truncated yes``, its default), and so does a restore here, aloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from backup_lib.byte_source import ByteSource, EndsTooEarly
from backup_lib.model import Target
from backup_lib.stores.valkey.aof import manifest
from backup_lib.stores.valkey.aof.commands import Command, walk
from backup_lib.stores.valkey.aof.foreign_names import MOST_NAMES, refuse_unknown
from backup_lib.stores.valkey.aof.manifest import BASE, Part
from backup_lib.stores.valkey.aof.restoring import LogHome
from backup_lib.stores.valkey.rdb import HEAD_SIZE, MAGIC
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad

_CHUNK = 1 << 18
_INNER = re.compile(rb"\r\n\*\d{1,7}\r\n\$\d")
_OVERLAP = 16
_BEGINS, _ENDS = frozenset({b"MULTI"}), frozenset({b"EXEC", b"DISCARD"})


@dataclass(frozen=True, slots=True)
class _Walked:
    """What commands a part holds.

    Attributes:
        names: of the commands.
        end: bytes up to the end of the last whole command outside of a transaction.
        size: of the part.
        cut: whether what is behind is half a command or transaction.
        open: whether it is a transaction.
    """

    names: frozenset[bytes]
    end: int
    size: int
    cut: bool = False
    open: bool = False


class PlainLog:
    """A folder with a manifest.

    Raises:
        JudgedBad: it has not exactly one manifest, or one that cannot be right, or a part is
            missing.
        Inconclusive: its manifest is larger than any real one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = manifest.manifest_of(folder)
        if path is None:
            raise JudgedBad(
                "it has not exactly one manifest", hint="copy the whole folder, manifest included"
            )
        with path.open("rb") as file:
            self._parts = manifest.parts_of(file.read(manifest.LARGEST + 1))
        for part in self._parts:
            inner = folder / part.name
            if not inner.is_file() or inner.is_symlink():
                raise JudgedBad(
                    f"{part.name} is missing, and the manifest names it",
                    hint="copy the whole folder, and while the server rewrites nothing",
                )

    @property
    def base(self) -> Part | None:
        """The part that the others go on from."""
        return next((part for part in self._parts if part.kind == BASE), None)

    @property
    def written(self) -> float:
        """When any part was last written to (Unix time)."""
        return max((self._folder / part.name).stat().st_mtime for part in self._parts)

    def head(self) -> bytes:
        """The beginning of the base."""
        if self.base is None:
            return b""
        with (self._folder / self.base.name).open("rb") as file:
            return file.read(HEAD_SIZE)

    def restore(self, target: Target, work: Work) -> str:
        """Load it into a disposable server.

        Returns:
            what was left out, in words; empty where nothing was.

        Raises:
            JudgedBad: it is damaged.
            Inconclusive: the server does not know all its commands, or what is missing cannot be
                told.
        """
        walked = {part.name: self._walked(part, work) for part in self._parts}
        refuse_unknown(target, frozenset(chain(*(w.names for w in walked.values()))))
        home = LogHome(target, work)
        increments = [part for part in self._parts if part.kind != BASE]
        if self.base:
            end = walked[self.base.name].end
            home.write_base(self._read(self.base, end, work), is_rdb=self.base.is_rdb)
        home.write_increment(
            chain(*(self._read(part, walked[part.name].end, work) for part in increments))
        )
        home.load()
        last = self._parts[-1]
        return _left_out(last.name, walked[last.name])

    def _walked(self, part: Part, work: Work) -> _Walked:
        size = (self._folder / part.name).stat().st_size
        if part.is_rdb or (part is self.base and MAGIC.match(self.head())):
            return _Walked(frozenset(), size, size)
        try:
            found = _walk(self._read(part, size, work), size)
        except JudgedBad as error:
            raise JudgedBad(f"{part.name}: {error.message}", hint=error.hint) from error
        if not found.cut:
            return found
        if part is not self._parts[-1]:
            raise JudgedBad(
                f"{part.name}: it ends in the middle of a command, and is not the newest part",
                hint="take another copy of the folder",
            )
        tail = self._read(part, size, work, start=found.end)
        if not found.open and _holds_commands(tail):
            raise Inconclusive(
                f"{part.name}: its last {size - found.end} bytes look like several commands within "
                "one that ends too early: how much is lost cannot be told",
                hint="valkey-check-aof names the place; take another copy of the folder",
            )
        return found

    def _read(self, part: Part, end: int, work: Work, start: int = 0) -> Iterator[bytes]:
        with (self._folder / part.name).open("rb") as file:
            file.seek(start)
            left = end - start
            while left > 0 and (piece := file.read(min(_CHUNK, left))):
                work.cancel.check()
                left -= len(piece)
                yield piece


def _walk(pieces: Iterable[bytes], size: int) -> _Walked:
    names: set[bytes] = set()
    end, inside, cut = 0, False, False
    try:
        for command in walk(ByteSource(pieces)):
            if len(names) < MOST_NAMES:
                names.add(command.name)
            inside = _inside(command, inside)
            if not inside:
                end = command.end
    except EndsTooEarly:
        cut = True
    return _Walked(frozenset(names), end, size, cut=cut or inside, open=inside)


def _inside(command: Command, inside: bool) -> bool:
    """Whether a transaction is open behind that command."""
    if command.name in _BEGINS:
        if inside:
            raise JudgedBad(
                "a transaction begins within another one: some command is damaged",
                hint="take another copy of the folder",
            )
        return True
    return inside and command.name not in _ENDS


def _holds_commands(tail: Iterable[bytes]) -> bool:
    """Whether further commands seem to begin within half a command: then its length is wrong."""
    held = b""
    for piece in tail:
        held += piece
        if _INNER.search(held):
            return True
        held = held[-_OVERLAP:]
    return False


def _left_out(name: str, walked: _Walked) -> str:
    if not walked.cut:
        return ""
    return (
        f"the last {walked.size - walked.end} bytes of {name} are half a command or transaction, "
        "and were left out as a server does (aof-load-truncated yes)"
    )
