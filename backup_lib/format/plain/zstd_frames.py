"""zstd (RFC 8878): every frame whole, every checksum right, nothing behind the last frame.

The frames are walked block by block, since a decoder alone neither tells a cut frame from the end
nor bounds what one piece of input expands to; a block expands to 128 KiB at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import zstandard

from backup_lib.byte_source import ByteSource, cut
from restoreproof.errors import Inconclusive, JudgedBad

MAGIC = b"\x28\xb5\x2f\xfd"

LARGEST_WINDOW = 1 << 26
"""Memory for a decoder: frames of ``zstd --long`` and ``--ultra -22`` may ask for more."""

_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_CONTENT_SIZE_OCTETS = (0, 2, 4, 8)
_DICTIONARY_OCTETS = (0, 1, 2, 4)
_RLE, _RESERVED = 1, 3
_WHERE = "in the middle of the compressed data"
_HINT = "take another copy of the backup"


def unzstd(source: ByteSource, on_frame: Callable[[bool], None]) -> Iterator[bytes]:
    """The plain bytes, in pieces of at most 128 KiB.

    Args:
        source: at the beginning of a frame.
        on_frame: told after each frame whether a checksum covers its content.

    Raises:
        JudgedBad: damaged, cut, or something else follows.
        Inconclusive: a frame needs more memory than allowed, or a dictionary.
    """
    while head := source.peek(4):
        if len(head) == 4 and int.from_bytes(head, "little") in _SKIPPABLE:
            source.take(4)
            source.skip(int.from_bytes(source.take(4, _WHERE), "little"), _WHERE)
        elif head == MAGIC:
            yield from _frame(source, on_frame)
        elif MAGIC.startswith(head):
            raise cut(_WHERE)
        else:
            raise JudgedBad("something that is not zstd follows the compressed data", hint=_HINT)


def _frame(source: ByteSource, on_frame: Callable[[bool], None]) -> Iterator[bytes]:
    header, checksum = _header(source)
    decoder = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()
    try:
        yield decoder.decompress(header)
        last = False
        while not last:
            prefix = source.take(3, _WHERE)
            block = int.from_bytes(prefix, "little")
            last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
            if kind == _RESERVED:
                raise JudgedBad("its compressed data is damaged (block type)", hint=_HINT)
            content = source.take(1 if kind == _RLE else size, _WHERE)
            yield decoder.decompress(prefix + content)
        if checksum:
            yield decoder.decompress(source.take(4, _WHERE))
    except zstandard.ZstdError as error:
        raise JudgedBad(f"its compressed data is damaged ({error})", hint=_HINT) from error
    if not decoder.eof:
        raise JudgedBad("its compressed data is damaged (frame end)", hint=_HINT)
    on_frame(checksum)


def _header(source: ByteSource) -> tuple[bytes, bool]:
    """The frame header, and whether the frame ends with a checksum."""
    fixed = source.take(5, _WHERE)
    descriptor = fixed[4]
    single_segment = bool(descriptor & 0x20)
    window = source.take(0 if single_segment else 1, _WHERE)
    dictionary = source.take(_DICTIONARY_OCTETS[descriptor & 3], _WHERE)
    octets = _CONTENT_SIZE_OCTETS[descriptor >> 6] or int(single_segment)
    content_size = source.take(octets, _WHERE)
    if any(dictionary):
        raise Inconclusive(
            "it is compressed with a zstd dictionary", hint="decompress it with that dictionary"
        )
    needed = int.from_bytes(content_size, "little")
    if window:
        base = 1 << 10 + (window[0] >> 3)
        needed = base + base // 8 * (window[0] & 7)
    if needed > LARGEST_WINDOW:
        raise Inconclusive(
            f"to decompress it takes {needed >> 20} MiB of memory",
            hint="check it by hand with: zstd --test --long=31 FILE",
        )
    return fixed + window + dictionary + content_size, bool(descriptor & 4)
