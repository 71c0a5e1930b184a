"""Walking over commands in the protocol of the server: arrays of bulk strings.

In an append-only file lines ``#TS:…`` may stand between them. Commands carry no checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backup_lib.byte_source import ByteSource
from backup_lib.stores.valkey.aof.manifest import DAMAGED_HINT
from restoreproof.errors import JudgedBad

_LONGEST_LINE = 1 << 10
_MOST_ARGUMENTS = 1 << 31
_LARGEST_ARGUMENT = 1 << 40
_LONGEST_NAME = 1 << 8
_MOST_DIGITS = 13
_CUT = "in the middle of a command"


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name in capitals, and where it ends in the stream."""

    name: bytes
    end: int


def _drop(_piece: bytes) -> None:
    pass


def walk(source: ByteSource, take: Callable[[bytes], object] = _drop) -> Iterator[Command]:
    """All commands, each when the whole of it was read.

    Args:
        source: from the beginning of a command on.
        take: is given the bytes of each command before it is yielded, and of nothing else.

    Raises:
        JudgedBad: one is damaged, or the stream ends in the middle of it.
    """
    while first := source.peek(1):
        if first == b"#":
            _line(source)
            continue
        name = b""
        head, arguments = _number(source, b"*", _MOST_ARGUMENTS)
        take(head)
        for at in range(arguments):
            head, length = _number(source, b"$", _LARGEST_ARGUMENT)
            take(head)
            if at == 0:
                name = source.peek(min(length, _LONGEST_NAME)).upper()
            for piece in source.pass_on(length, _CUT):
                take(piece)
            end = source.take(2, _CUT)
            if end != b"\r\n":
                raise JudgedBad("a command is damaged", hint=DAMAGED_HINT)
            take(end)
        yield Command(name, source.position)


def _number(source: ByteSource, mark: bytes, most: int) -> tuple[bytes, int]:
    """The line of a length, and the length."""
    line = _line(source)
    digits = line[1:-2]
    if line[:1] != mark or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise JudgedBad("a command is damaged", hint=DAMAGED_HINT)
    if int(digits) > most:
        raise JudgedBad("a command is damaged", hint=DAMAGED_HINT)
    return line, int(digits)


def _line(source: ByteSource) -> bytes:
    ahead = source.peek(_LONGEST_LINE)
    line, end, _ = ahead.partition(b"\r\n")
    if not end:
        source.take(_LONGEST_LINE, _CUT)
        raise JudgedBad("a command is damaged", hint=DAMAGED_HINT)
    return source.take(len(line) + 2)
