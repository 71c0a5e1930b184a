"""An ``appendonlydir``: the manifest, and every part that it names.

A manifest line is ``file NAME seq NUMBER type b|i|h``: base, increment, history. The base is an RDB
file or commands; increments are commands in the protocol of the server (RESP arrays of bulk
strings), with ``#TS:…`` lines between them where timestamps are on. Commands carry no checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from backup_lib.format.plain import rdb
from backup_lib.format.plain.reading import ByteSource
from restoreproof.errors import Inconclusive, JudgedBad

MANIFEST_SUFFIX = ".aof.manifest"

_RDB_SUFFIX = ".rdb"
_LARGEST_MANIFEST = 1 << 20
_LONGEST_LINE = 1 << 10
_MOST_ARGUMENTS = 1 << 31
_LARGEST_ARGUMENT = 1 << 40
_FIELDS = 6
_BASE, _INCREMENT, _HISTORY = "b", "i", "h"
_HINT = "valkey-check-aof names the place; take another copy of the folder"


def manifest_of(folder: Path) -> Path | None:
    """The one manifest in a folder."""
    found = sorted(folder.glob(f"*{MANIFEST_SUFFIX}"))
    return found[0] if len(found) == 1 else None


def check(folder: Path, read: Callable[[Path], Iterator[bytes]]) -> str:
    """Read all parts of a folder; ``read`` opens one of its files."""
    manifest = manifest_of(folder)
    if manifest is None:
        raise JudgedBad(
            "it has not exactly one manifest", hint="copy the whole folder, manifest included"
        )
    parts = list(_parts(manifest, read))
    commands = 0
    for name, kind in parts:
        path = folder / name
        if kind == _HISTORY:
            continue  # the server removes those in the background
        if not path.is_file() or path.is_symlink():
            raise JudgedBad(f"{name} is missing, and the manifest names it", hint=_HINT)
        source = ByteSource(read(path))
        try:
            if name.endswith(_RDB_SUFFIX):
                rdb.check(source.rest())
            else:
                commands += _commands(source)
        except (JudgedBad, Inconclusive) as error:
            raise type(error)(f"{name}: {error.message}", hint=error.hint) from error
    return (
        f"{len(parts)} parts as the manifest says, {commands} commands; commands carry no "
        "checksum, so a changed byte may go unnoticed: only a restore shows it"
    )


def _parts(manifest: Path, read: Callable[[Path], Iterator[bytes]]) -> Iterator[tuple[str, str]]:
    if manifest.stat().st_size > _LARGEST_MANIFEST:
        raise Inconclusive("its manifest is larger than any real one")
    last = 0
    kinds = ""
    for line in b"".join(read(manifest)).decode("utf-8", "replace").splitlines():
        if not line or line.startswith("#"):
            continue
        words = line.split()
        # further key-value pairs are allowed behind these
        if len(words) < _FIELDS or (words[0], words[2], words[4]) != ("file", "seq", "type"):
            raise JudgedBad("its manifest is damaged", hint=_HINT)
        name, number, kind = words[1].strip('"'), words[3], words[5]
        if kind not in (_BASE, _INCREMENT, _HISTORY) or not number.isdecimal():
            raise JudgedBad("its manifest is damaged", hint=_HINT)
        if not name or "/" in name or name in (".", ".."):
            raise JudgedBad("its manifest names a file outside the folder", hint=_HINT)
        if kind == _INCREMENT:
            if int(number) <= last:
                raise JudgedBad("its manifest is out of order", hint=_HINT)
            last = int(number)
        kinds += kind
        yield name, kind
    if kinds.count(_BASE) > 1 or not kinds.strip(_HISTORY):
        raise JudgedBad("its manifest does not name one base and its increments", hint=_HINT)


def _commands(source: ByteSource) -> int:
    """Walk over all commands; returns their number."""
    count = 0
    while first := source.peek(1):
        if first == b"#":
            _line(source)
            continue
        for _ in range(_number(source, b"*", _MOST_ARGUMENTS)):
            length = _number(source, b"$", _LARGEST_ARGUMENT)
            source.skip(length, "in the middle of a command")
            if source.take(2, "in the middle of a command") != b"\r\n":
                raise JudgedBad("a command is damaged", hint=_HINT)
        count += 1
    return count


def _number(source: ByteSource, mark: bytes, most: int) -> int:
    line = _line(source)
    digits = line[1:]
    if line[:1] != mark or not digits.isdigit() or len(digits) > 13 or int(digits) > most:
        raise JudgedBad("a command is damaged", hint=_HINT)
    return int(digits)


def _line(source: ByteSource) -> bytes:
    ahead = source.peek(_LONGEST_LINE)
    line, end, _ = ahead.partition(b"\r\n")
    if not end:
        source.take(_LONGEST_LINE, "in the middle of a command")
        raise JudgedBad("a command is damaged", hint=_HINT)
    source.take(len(line) + 2)
    return line
