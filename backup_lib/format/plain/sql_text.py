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
    head = tail = b""
    decoder: codecs.IncrementalDecoder | None = None
    for piece in plain:
        if len(head) < _HEAD:
            head += piece[: _HEAD - len(head)]
            if decoder is None and _is_utf8(head):
                decoder = codecs.getincrementaldecoder("utf-8")()
                decoder.decode(head[: len(head) - len(piece)])
        tail = (tail + piece)[-_TAIL:] if len(piece) < _TAIL else piece[-_TAIL:]
        if b"\0" in piece:
            raise JudgedBad("it holds zero bytes, which SQL text never does", hint=_HINT)
        if decoder:
            _decode(decoder, piece)
    if decoder:
        _decode(decoder, b"", final=True)
    if not BEGINNING.search(head):
        return _of_another_tool(head, plain)
    _check_end(head, tail)
    return f"a complete pg_dump text of {plain.size} bytes; {plain.protection}"


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
