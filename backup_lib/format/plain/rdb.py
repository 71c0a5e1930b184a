"""``dump.rdb`` of Valkey and Redis: header, end mark, CRC-64 over all of it.

``REDIS`` and four digits, or ``VALKEY`` and three; at the end 0xFF and the CRC-64 (reflected
polynomial 0x95ac9329ac4bc9b5, initial value 0, little-endian) of everything before it. A CRC of 0
means that the server has checksums switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import anycrc  # type: ignore[import-untyped]  # ships no types

from restoreproof.errors import Inconclusive, JudgedBad

MAGIC = re.compile(rb"REDIS\d{4}|VALKEY\d{3}")

_HEADER_SIZE = 9
_TAIL = 9
_END = 0xFF
_HINT = "take another copy of the backup"


def check(stored: Iterable[bytes]) -> str:
    """Read a whole dump."""
    crc64 = anycrc.Model("CRC64-REDIS")
    crc, size, head, held = 0, 0, b"", b""
    for chunk in stored:
        size += len(chunk)
        head = head or b""
        held += chunk
        if len(head) < _HEADER_SIZE:
            head = (head + chunk)[:_HEADER_SIZE]
        if len(held) > _TAIL:
            crc = crc64.calc(held[:-_TAIL], crc)
            held = held[-_TAIL:]
    if not MAGIC.fullmatch(head):
        raise JudgedBad("it does not begin as an RDB file does", hint=_HINT)
    if size < _HEADER_SIZE + _TAIL or held[0] != _END:
        raise JudgedBad(
            "it ends without the end mark of an RDB file",
            hint="it was cut: look for a full disk or a killed process when it was made",
        )
    expected = int.from_bytes(held[1:], "little")
    if expected == 0:
        raise Inconclusive(
            "it was saved without a checksum, so there is nothing to judge it by",
            hint="set rdbchecksum yes on the server",
        )
    if crc64.calc(held[:1], crc) != expected:
        raise JudgedBad("its checksum (CRC-64) is wrong: some byte has changed", hint=_HINT)
    return f"{size} bytes agree with the CRC-64 at its end"
