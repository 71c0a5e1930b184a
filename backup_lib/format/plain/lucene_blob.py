"""Blobs with the header and footer of Lucene (CodecUtil), as OpenSearch keeps them.

Metadata: magic 3FD76C17, one byte length and codec name, int32 version, body, footer. The body is
SMILE, or ``DFL``, a zero byte and SMILE in raw deflate. Footer, of Lucene's data files too: magic
C02893E8, int32 0, int64 CRC-32 of all but the last 8 bytes. Numbers are big-endian. Looked at in
repositories of OpenSearch 2.19.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from backup_lib.format.plain.smile import SmileValue, read
from restoreproof.errors import Inconclusive, JudgedBad

_HEADER_MAGIC = b"\x3f\xd7\x6c\x17"
_FOOTER = struct.Struct(">4siq")
_FOOTER_MAGIC = b"\xc0\x28\x93\xe8"
_CRC_SIZE = 8
_VERSION = 1
_DEFLATED = b"DFL\0"
_LARGEST = 1 << 26
_HINT = "take another copy of the repository"


def checked_metadata(name: str, stored: Iterable[bytes]) -> SmileValue:
    """The value in a metadata blob whose checksum is right.

    Raises:
        JudgedBad: damaged or cut.
        Inconclusive: of a version that is not known, or too large to hold in memory.
    """
    blob = b""
    for chunk in stored:
        blob += chunk
        if len(blob) > _LARGEST:
            raise Inconclusive(f"{name} is larger than {_LARGEST >> 20} MiB")
    check_footer(name, [blob])
    if not blob.startswith(_HEADER_MAGIC):
        raise JudgedBad(f"{name} does not begin as it should", hint=_HINT)
    body = 5 + blob[4] + 4
    if int.from_bytes(blob[body - 4 : body], "big") != _VERSION:
        raise Inconclusive(f"{name} is of a version that is not known")
    content = blob[body : -_FOOTER.size]
    if content.startswith(_DEFLATED):
        content = _inflated(name, content.removeprefix(_DEFLATED))
    return read(content)


def check_footer(name: str, stored: Iterable[bytes]) -> tuple[int, int]:
    """Size and CRC-32 of a blob whose footer is right.

    Raises:
        JudgedBad: it is not.
    """
    size, crc, held = 0, 0, b""
    for chunk in stored:
        size += len(chunk)
        held += chunk
        if len(held) > _FOOTER.size:
            crc = zlib.crc32(held[: -_FOOTER.size], crc)
            held = held[-_FOOTER.size :]
    if len(held) < _FOOTER.size:
        raise JudgedBad(f"{name} is cut", hint=_HINT)
    magic, algorithm, expected = _FOOTER.unpack(held)
    if magic != _FOOTER_MAGIC or algorithm != 0:
        raise JudgedBad(f"{name} is cut, or damaged at its end", hint=_HINT)
    if zlib.crc32(held[:-_CRC_SIZE], crc) != expected:
        raise JudgedBad(f"the checksum of {name} is wrong: some byte has changed", hint=_HINT)
    return size, expected


def _inflated(name: str, content: bytes) -> bytes:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = decompressor.decompress(content, _LARGEST)
    except zlib.error as error:
        raise JudgedBad(f"{name} is damaged", hint=_HINT) from error
    if decompressor.unconsumed_tail:
        raise Inconclusive(f"{name} is larger than {_LARGEST >> 20} MiB")
    if not decompressor.eof:
        raise JudgedBad(f"{name} is cut", hint=_HINT)
    return plain
