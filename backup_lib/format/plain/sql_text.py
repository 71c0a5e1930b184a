"""SQL text. ``pg_dump`` and ``pg_dumpall`` begin and end theirs with a comment of their own.

The rule: text that begins as theirs has to end as theirs, else it was cut. Other SQL cannot be
judged by its text: it passes only where a checksum of its compression covers every byte.
"""

from __future__ import annotations

import codecs
import re

from backup_lib.format.plain.plain_stream import PlainStream
from restoreproof.errors import Inconclusive, JudgedBad

BEGINNING = re.compile(rb"^-- PostgreSQL database (?:cluster )?dump\r?$", re.MULTILINE)

_COMPLETE = re.compile(rb"^-- PostgreSQL database (?:cluster )?dump complete\r?$", re.MULTILINE)
_CLUSTER = re.compile(rb"^-- PostgreSQL database cluster dump\r?$", re.MULTILINE)
_AFTERWARDS = re.compile(rb"(?:\s+|--[^\n]*\n|\\unrestrict \w+\s*)*(?:--[^\n]*)?")
_RESTRICT = re.compile(rb"^\\restrict (\w+)", re.MULTILINE)
_UNRESTRICT = re.compile(rb"^\\unrestrict (\w+)", re.MULTILINE)
_UTF8 = re.compile(rb"^SET client_encoding = 'UTF8';", re.MULTILINE)

_HEAD = 4096
_TAIL = 4096
_HINT = "take another copy of the backup"


def check(plain: PlainStream) -> str:
    """Read a whole text."""
    text = SqlText()
    for piece in plain:
        text.feed(piece)
    if not text.finish():
        return _of_another_tool(text.head, plain)
    return f"a complete pg_dump text of {plain.size} bytes; {plain.protection}"


class SqlText:
    """Judges a text that is fed to it piece by piece."""

    def __init__(self) -> None:
        self.head = b""
        self._tail = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, data: bytes | memoryview) -> None:
        """The next piece.

        Raises:
            JudgedBad: it is not what SQL text can hold.
        """
        piece = bytes(data)
        if b"\0" in piece:
            raise JudgedBad("it holds zero bytes, which SQL text never does", hint=_HINT)
        fresh = piece
        if len(self.head) < _HEAD:
            seen = self.head
            self.head += piece[: _HEAD - len(seen)]
            if self._decoder is None and _is_utf8(self.head):
                self._decoder = codecs.getincrementaldecoder("utf-8")()
                fresh = seen + piece
        if self._decoder:
            _decode(self._decoder, fresh)
        self._tail = (self._tail + piece)[-_TAIL:] if len(piece) < _TAIL else piece[-_TAIL:]

    def finish(self) -> bool:
        """The end of the text. False where pg_dump did not write it, so that nothing is known.

        Raises:
            JudgedBad: pg_dump wrote it, and not this end.
        """
        if self._decoder:
            _decode(self._decoder, b"", final=True)
        if not BEGINNING.search(self.head):
            return False
        _check_end(self.head, self._tail)
        return True


def _is_utf8(head: bytes) -> bool:
    """Whether all of it is UTF-8; the parts of a cluster dump have each their own encoding."""
    return bool(_UTF8.search(head)) and not _CLUSTER.search(head)


def _decode(decoder: codecs.IncrementalDecoder, piece: bytes, *, final: bool = False) -> None:
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        raise JudgedBad("it is not the UTF-8 text that it says it is", hint=_HINT) from None


def _check_end(head: bytes, tail: bytes) -> None:
    marks = list(_COMPLETE.finditer(tail))
    if not marks:
        raise JudgedBad(
            "it ends without pg_dump's completion mark: it was cut",
            hint="look for a full disk or a killed pg_dump when it was made",
        )
    if not _AFTERWARDS.fullmatch(tail[marks[-1].end() :]):
        raise JudgedBad("something follows pg_dump's completion mark", hint=_HINT)
    opened, closed = _RESTRICT.search(head), _UNRESTRICT.findall(tail)
    if opened and opened[1] not in closed:
        raise JudgedBad("its \\restrict and \\unrestrict do not match", hint=_HINT)


def _of_another_tool(head: bytes, plain: PlainStream) -> str:
    if head.lstrip().startswith((b"{", b"[", b"<")):
        raise JudgedBad("it is no SQL", hint="name the right type")
    if plain.checksummed:
        return (
            f"{plain.protection}; it was not made by pg_dump, so whether its maker finished is "
            "not known: only a restore shows it"
        )
    raise Inconclusive(
        "it was not made by pg_dump and carries no checksum, so there is nothing to judge it by",
        hint="compress it with gzip or zstd, which add a checksum, or restore it to know",
    )
