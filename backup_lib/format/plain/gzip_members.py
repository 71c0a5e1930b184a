"""gzip (RFC 1952): every member whole, every CRC-32 and length right, nothing behind the last."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from backup_lib.byte_source import ByteSource, cut
from backup_lib.format.plain.reading import CHUNK
from restoreproof.errors import JudgedBad

MAGIC = b"\x1f\x8b"

_GZIP_WRAPPER = 16 + zlib.MAX_WBITS
_HINT = "take another copy of the backup"


def gunzip(source: ByteSource) -> Iterator[bytes]:
    """The plain bytes, in pieces of at most :data:`~backup_lib.format.plain.reading.CHUNK`.

    zlib checks CRC-32 and length at the end of each member. Zeros behind the last member are
    padding, as for gzip itself.

    Raises:
        JudgedBad: damaged, cut, or something else follows.
    """
    while True:
        yield from _member(source)
        if source.peek(2) != MAGIC:
            break
    for piece in source.rest():
        if piece.strip(b"\0"):
            raise JudgedBad("something that is not gzip follows the compressed data", hint=_HINT)


def _member(source: ByteSource) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(_GZIP_WRAPPER)
    ended = False
    while not ended:
        data = source.peek(CHUNK)
        if not data:
            raise cut("in the middle of the compressed data")
        try:
            plain = decompressor.decompress(data, CHUNK)
        except zlib.error as error:
            raise JudgedBad(f"its compressed data is damaged ({error})", hint=_HINT) from error
        ended = decompressor.eof
        left = decompressor.unused_data if ended else decompressor.unconsumed_tail
        source.skip(len(data) - len(left))
        if plain:
            yield plain
