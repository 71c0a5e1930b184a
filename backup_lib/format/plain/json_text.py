"""JSON (RFC 8259): one document, or several one after the other (JSON lines), read as a stream.

A validator of our own: it builds no values, so that neither a number of a million digits nor a
string of a gigabyte matters, and memory is bounded by the nesting alone.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from backup_lib.byte_source import cut
from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.format.plain.reading import CHUNK
from restoreproof.errors import Inconclusive, JudgedBad

_DEEPEST = 1 << 20
_LARGEST_TOKEN = 1 << 25
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HINT = "take another copy of the backup"

# groups are atomic instead of possessive: Python before 3.11.5 gives back too much of a possessive
# group (python/cpython#106052), and would take a comma at the end for whole
_SPACE = r"[ \t\r\n]*+"
_TEXT = r'"(?>(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"'
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?>(?:\.[0-9]++)?)(?>(?:[eE][+-]?[0-9]++)?)"
_SCALAR = rf"(?:{_TEXT}|(?:{_NUMBER}|true|false|null)(?![\w.+-]))"


def _array_of(value: str) -> str:
    return rf"\[{_SPACE}(?>(?:{value}{_SPACE}(?>(?:,{_SPACE}{value}{_SPACE})*))?)\]"


def _object_of(value: str) -> str:
    member = rf"{_TEXT}{_SPACE}:{_SPACE}{value}{_SPACE}"
    return rf"\{{{_SPACE}(?>(?:{member}(?>(?:,{_SPACE}{member})*))?)\}}"


# most of an export are small values of two levels: each is taken in one step
_FLAT = rf"(?:{_SCALAR}|{_array_of(_SCALAR)}|{_object_of(_SCALAR)})"
_TOKEN = re.compile(
    rf"{_SPACE}(?:({_array_of(_FLAT)}|{_object_of(_FLAT)})|([{{}}\[\]:,])|({_TEXT})|({_SCALAR}))".encode()
)
_PUNCTUATION, _STRING = 2, 3

# what may come next
_VALUE, _VALUE_OR_END, _KEY, _KEY_OR_END, _COLON, _COMMA_OR_END = range(6)
_OPENING = {b"{": _KEY_OR_END, b"[": _VALUE_OR_END}
_CLOSING = {b"}": (_KEY_OR_END, ord("{")), b"]": (_VALUE_OR_END, ord("["))}


class _Structure:
    """The grammar, token by token."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._next = _VALUE
        self.documents = 0

    @property
    def between_documents(self) -> bool:
        return not self._open and self._next == _VALUE

    def take(self, kind: int, token: bytes) -> None:
        """The next token. Raises JudgedBad where it may not stand."""
        if kind == _PUNCTUATION:
            self._take_mark(token)
        elif self._next in (_VALUE, _VALUE_OR_END):
            self._value_ended()
        elif kind == _STRING and self._next in (_KEY, _KEY_OR_END):
            self._next = _COLON
        else:
            raise _damaged()

    def _take_mark(self, mark: bytes) -> None:
        if mark in _OPENING and self._next in (_VALUE, _VALUE_OR_END):
            if len(self._open) >= _DEEPEST:
                raise Inconclusive(f"it is nested deeper than {_DEEPEST} levels")
            self._open += mark
            self._next = _OPENING[mark]
        elif mark in _CLOSING:
            when_empty, opening = _CLOSING[mark]
            if self._next not in (when_empty, _COMMA_OR_END) or self._open[-1] != opening:
                raise _damaged()
            self._open.pop()
            self._value_ended()
        elif mark == b":" and self._next == _COLON:
            self._next = _VALUE
        elif mark == b"," and self._next == _COMMA_OR_END:
            self._next = _KEY if self._open[-1] == ord("{") else _VALUE
        else:
            raise _damaged()

    def _value_ended(self) -> None:
        if self._open:
            self._next = _COMMA_OR_END
        else:
            self._next = _VALUE
            self.documents += 1


def check(plain: PlainStream) -> str:
    """Read a whole text."""
    structure = _Structure()
    for kind, token in _tokens(_valid_utf8(plain)):
        structure.take(kind, token)
    if not structure.between_documents:
        raise cut("in the middle of a JSON document")
    if not structure.documents:
        raise JudgedBad("it holds no JSON", hint=_HINT)
    count = structure.documents
    what = "one JSON document" if count == 1 else f"{count} JSON documents"
    return f"{what}, whole; {plain.protection}"


def _tokens(pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    buffer = b""
    at = 0
    ended = False
    while True:
        found = _TOKEN.match(buffer, at)
        # a token at the very end may go on in the next piece
        if found and (found.end() < len(buffer) or ended):
            kind = found.lastindex or 0
            yield kind, found[kind] if kind == _PUNCTUATION else b""
            at = found.end()
            continue
        if ended:
            break
        buffer = buffer[at:]
        at = 0
        if len(buffer) > _LARGEST_TOKEN:
            raise Inconclusive(f"it holds a single value of more than {_LARGEST_TOKEN >> 20} MiB")
        more, ended = _more(pieces, max(len(buffer), CHUNK))
        buffer += more
    rest = buffer[at:].strip(b" \t\r\n")
    if rest.startswith(b'"'):
        raise cut("in the middle of a JSON document")
    if rest:
        raise _damaged()


def _more(pieces: Iterator[bytes], least: int) -> tuple[bytes, bool]:
    """At least so many bytes (the longer the token, the more), and whether that was all."""
    parts = []
    for piece in pieces:
        parts.append(piece)
        least -= len(piece)
        if least <= 0:
            return b"".join(parts), False
    return b"".join(parts), True


def _valid_utf8(plain: PlainStream) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    first = True
    try:
        for piece in plain:
            decoder.decode(piece)
            yield piece.removeprefix(_BYTE_ORDER_MARK) if first else piece
            first = False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise JudgedBad("its JSON is not UTF-8 text", hint=_HINT) from None


def _damaged() -> JudgedBad:
    return JudgedBad("its JSON is damaged", hint=_HINT)
