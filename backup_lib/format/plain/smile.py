"""SMILE, the binary JSON that OpenSearch writes its metadata in: a reader for whole documents.

Format: https://github.com/FasterXML/smile-format-specification. Numbers that are not whole are
skipped over and come out as None: nothing here asks for them.
"""

from __future__ import annotations

from typing import TypeAlias

from restoreproof.errors import Inconclusive, JudgedBad

SmileValue: TypeAlias = "str | int | bool | bytes | list[SmileValue] | dict[str, SmileValue] | None"

MAGIC = b":)\n"

_SHARED_NAMES, _SHARED_VALUES = 1, 2
_LONGEST_SHARED = 64
_MOST_SHARED = 1024
_DEEPEST = 100
_END_ARRAY, _END_OBJECT, _END_STRING = 0xF9, 0xFB, 0xFC
_LITERALS: dict[int, SmileValue] = {0x20: "", 0x21: None, 0x22: False, 0x23: True}


class _Unknown(Exception):
    """A token that the specification does not name, or the document ends too early."""


def read(document: bytes) -> SmileValue:
    """The value of a document.

    Raises:
        JudgedBad: it is damaged or cut.
        Inconclusive: it is of a version that is not known, or nested too deeply.
    """
    if not document.startswith(MAGIC) or len(document) < 5:
        raise JudgedBad("its metadata does not begin as SMILE does")
    if document[3] >> 4:
        raise Inconclusive("its metadata is of a version of SMILE that is not known")
    try:
        return _Reader(document).value(0)
    except (_Unknown, IndexError, UnicodeDecodeError):
        raise JudgedBad("its metadata (SMILE) is damaged") from None


class _Reader:
    def __init__(self, document: bytes) -> None:
        self._document = document
        self._at = 4
        flags = document[3]
        self._names: list[str] | None = [] if flags & _SHARED_NAMES else None
        self._values: list[str] | None = [] if flags & _SHARED_VALUES else None

    def value(self, depth: int) -> SmileValue:
        """The next value."""
        if depth > _DEEPEST:
            raise Inconclusive("its metadata is nested too deeply")
        token = self._byte()
        if token in _LITERALS:
            return _LITERALS[token]
        if token == 0xF8:
            return self._array(depth)
        if token == 0xFA:
            return self._object(depth)
        if token < 0x20 or 0xEC <= token <= 0xEF:
            return self._shared_value(token)
        if 0x40 <= token < 0xC0:
            return self._short_text(token)
        if 0xC0 <= token < 0xE0:
            return _zigzag(token & 0x1F)
        return self._long(token)

    def _long(self, token: int) -> SmileValue:
        if token in (0x24, 0x25):
            return _zigzag(self._varint())
        if token in (0x28, 0x29):  # float, double: 7 bits a byte
            self._take(5 if token == 0x28 else 10)
            return None
        if token == 0x2A:  # decimal: scale, then magnitude
            self._varint()
        if token in (0x26, 0x2A, 0xE8):  # binary: 7 bits a byte
            return self._seven_bits(self._varint())
        if token in (0xE0, 0xE4):
            return self._until_end_mark()
        if token == 0xFD:
            return self._take(self._varint())
        raise _Unknown

    def _array(self, depth: int) -> list[SmileValue]:
        items: list[SmileValue] = []
        while self._document[self._at] != _END_ARRAY:
            items.append(self.value(depth + 1))
        self._at += 1
        return items

    def _object(self, depth: int) -> dict[str, SmileValue]:
        fields: dict[str, SmileValue] = {}
        while (token := self._byte()) != _END_OBJECT:
            name = self._name(token)
            fields[name] = self.value(depth + 1)
        return fields

    def _name(self, token: int) -> str:
        if token == 0x20:
            return ""
        if 0x30 <= token <= 0x33:
            return _shared(self._names, (token & 3) << 8 | self._byte())
        if token == 0x34:
            return self._until_end_mark()
        if 0x40 <= token < 0x80:
            return _shared(self._names, token - 0x40)
        if 0x80 <= token < 0xC0:
            length = token - 0x80 + 1
        elif 0xC0 <= token < 0xF8:
            length = token - 0xC0 + 2
        else:
            raise _Unknown
        name = self._take(length).decode()
        _remember(self._names, name, length)
        return name

    def _short_text(self, token: int) -> str:
        length = token - 0x40 + 1 if token < 0x80 else token - 0x80 + 2
        text = self._take(length).decode()
        _remember(self._values, text, length)
        return text

    def _shared_value(self, token: int) -> str:
        if token == 0:
            raise _Unknown
        if token < 0x20:
            return _shared(self._values, token - 1)
        return _shared(self._values, (token & 3) << 8 | self._byte())

    def _until_end_mark(self) -> str:
        end = self._document.find(_END_STRING, self._at)
        if end < 0:
            raise _Unknown
        text = self._document[self._at : end].decode()
        self._at = end + 1
        return text

    def _seven_bits(self, size: int) -> bytes:
        """Groups of 7 bytes in 8; the last, shorter group has its low bits in its last byte."""
        full, rest = divmod(size, 7)
        plain = b""
        for _ in range(full):
            number = 0
            for octet in self._take(8):
                number = number << 7 | octet & 0x7F
            plain += number.to_bytes(7, "big")
        if rest:
            *before, last = self._take(rest + 1)
            number = 0
            for octet in before:
                number = number << 7 | octet & 0x7F
            number = number << rest | last & (1 << rest) - 1
            plain += number.to_bytes(rest, "big")
        return plain

    def _varint(self) -> int:
        """7 bits a byte, the last byte marked by its top bit and holding 6."""
        number = 0
        for _ in range(11):
            octet = self._byte()
            if octet & 0x80:
                return number << 6 | octet & 0x3F
            number = number << 7 | octet
        raise _Unknown

    def _byte(self) -> int:
        octet = self._document[self._at]
        self._at += 1
        return octet

    def _take(self, count: int) -> bytes:
        data = self._document[self._at : self._at + count]
        if len(data) < count:
            raise _Unknown
        self._at += count
        return data


def _zigzag(number: int) -> int:
    return number >> 1 ^ -(number & 1)


def _shared(table: list[str] | None, index: int) -> str:
    if table is None:
        raise _Unknown
    return table[index]


def _remember(table: list[str] | None, text: str, length: int) -> None:
    """Short texts get the next number; a full table is begun anew."""
    if table is None or length > _LONGEST_SHARED:
        return
    if len(table) >= _MOST_SHARED:
        table.clear()
    table.append(text)
