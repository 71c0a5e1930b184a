"""The manifest of an ``appendonlydir``.

One line a part: ``file NAME seq NUMBER type b|i|h``: base, increment, history. Further pairs of
words may follow.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from restoreproof.errors import Inconclusive, JudgedBad

SUFFIX = ".aof.manifest"
BASE, INCREMENT, HISTORY = "b", "i", "h"
LARGEST = 1 << 20
"""Bytes; real ones have a few hundred."""

FOLDER_NAME = "appendonlydir"
MANIFEST_NAME = "appendonly.aof.manifest"
BASE_NAME = "appendonly.aof.1.base"
INCREMENT_NAME = "appendonly.aof.1.incr.aof"
RDB_SUFFIX = ".rdb"
"""The server takes a part for an RDB file by its first bytes; names only follow that."""

DAMAGED_HINT = "valkey-check-aof names the place; take another copy of the folder"

_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a manifest: the name of a file in the same folder, and what it is."""

    name: str
    kind: str

    @property
    def is_rdb(self) -> bool:
        """Whether all of it is an RDB file, by its name."""
        return self.name.endswith(RDB_SUFFIX)


def manifest_of(folder: Path) -> Path | None:
    """The one manifest in a folder."""
    found = sorted(folder.glob(f"*{SUFFIX}"))
    return found[0] if len(found) == 1 else None


def parts_of(content: bytes) -> tuple[Part, ...]:
    """Base and increments in the order they are loaded in; history is left out.

    Raises:
        JudgedBad: it cannot be right, or names a file outside its folder.
        Inconclusive: it is larger than any real one.
    """
    if len(content) > LARGEST:
        raise Inconclusive("its manifest is larger than any real one")
    parts = tuple(_lines(content.decode("utf-8", "surrogateescape")))
    if not parts or [part.kind for part in parts].count(BASE) > 1:
        raise JudgedBad("its manifest does not name one base and its increments", hint=DAMAGED_HINT)
    return tuple(sorted(parts, key=lambda part: part.kind != BASE))


def text_of(base: str | None) -> bytes:
    """A manifest of our own, of one increment and perhaps a base of that name."""
    lines = [f"file {base} seq 1 type {BASE}\n"] if base else []
    lines.append(f"file {INCREMENT_NAME} seq 1 type {INCREMENT}\n")
    return "".join(lines).encode("ascii")


def _lines(text: str) -> Iterator[Part]:
    last = 0
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        words = _words(line)
        if len(words) < _FIELDS or (words[0], words[2], words[4]) != ("file", "seq", "type"):
            raise JudgedBad("its manifest is damaged", hint=DAMAGED_HINT)
        name, number, kind = words[1], words[3], words[5]
        if kind not in (BASE, INCREMENT, HISTORY) or not number.isdecimal():
            raise JudgedBad("its manifest is damaged", hint=DAMAGED_HINT)
        if not name or "/" in name or "\0" in name or name in (".", ".."):
            raise JudgedBad("its manifest names a file outside the folder", hint=DAMAGED_HINT)
        if kind == HISTORY:
            continue  # the server removes those in the background
        if kind == INCREMENT:
            if int(number) <= last:
                raise JudgedBad("its manifest is out of order", hint=DAMAGED_HINT)
            last = int(number)
        yield Part(name, kind)


def _words(line: str) -> list[str]:
    """Names with blanks in them are quoted."""
    try:
        return shlex.split(line) if '"' in line else line.split()
    except ValueError:
        raise JudgedBad("its manifest is damaged", hint=DAMAGED_HINT) from None
