"""tar (POSIX.1-2017 pax, and the GNU extensions), read as a stream and strictly.

The standard library takes a damaged header in the middle for the end of the archive, and a missing
end mark for a good one; here both are damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backup_lib.byte_source import ByteSource, cut
from restoreproof.errors import Inconclusive, JudgedBad

BLOCK = 512
MAGIC = b"ustar"
MAGIC_OFFSET = 257

_LARGEST_EXTENSION = 1 << 20
_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK, _GNU_SPARSE = b"x", b"g", b"L", b"K", b"S"
_FILES = (b"0", b"\0", b"7", _GNU_SPARSE)
_WHERE = "in the middle of the archive"
_HINT = "take another copy of the backup"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive.

    Attributes:
        name: as stored, without a leading ``./``.
        size: stored bytes of its content.
        is_file: False for folders and links.
        data: its content; what is not read is skipped. Of a sparse file the parts that are stored.
    """

    name: str
    size: int
    is_file: bool
    data: Iterator[bytes]


def members(source: ByteSource, *, end_mark: bool = True) -> Iterator[Member]:
    """The entries in order; each is to be read before the next is asked for.

    Args:
        source: at the beginning of the archive.
        end_mark: whether the archive has to end with blocks of zeros.

    Raises:
        JudgedBad: damaged, cut, without an end mark, or something follows the end.
        Inconclusive: an extension header is larger than any real one.
    """
    pax: dict[str, str] = {}
    long_name = ""
    while end_mark or source.peek(1):
        block = source.take(BLOCK, "without the mark at the end of an archive")
        if not any(block):
            # the mark is two blocks of zeros
            if any(source.take(BLOCK, "in the mark at the end of an archive")):
                raise JudgedBad("the mark at the end of the archive is damaged", hint=_HINT)
            break
        kind, size = _checked(block)
        if kind in (_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK):
            content = _extension(source, size)
            if kind == _PAX:
                pax = _pax_records(content)
            elif kind == _GNU_NAME:
                long_name = _text(content.rstrip(b"\0"))
            continue
        if kind == _GNU_SPARSE:
            _skip_sparse_map(source, extended=bool(block[482]))
        size = _decimal(pax["size"]) if "size" in pax else size
        name = pax.get("path") or long_name or _name(block)
        data = source.pass_on(size, _WHERE)
        yield Member(name.removeprefix("./"), size, kind in _FILES, data)
        for _ in data:
            pass
        _padding(source, size)
        pax, long_name = {}, ""
    rest = 0
    for piece in source.rest():
        rest += len(piece)
        if piece.strip(b"\0"):
            raise JudgedBad("something follows the end of the archive", hint=_HINT)
    if rest % BLOCK:
        raise cut("in the mark at the end of an archive")


def _checked(block: bytes) -> tuple[bytes, int]:
    """Type and size out of a header whose checksum is right."""
    try:
        stored = int(block[148:156].strip(b"\0 "), 8)
    except ValueError:
        stored = -1
    # the checksum counts its own field as spaces
    if sum(block[:148]) + sum(block[156:]) + 8 * ord(" ") != stored:
        raise JudgedBad("a header in the archive is damaged", hint=_HINT)
    field = block[124:136]
    if field[0] & 0x80:
        return block[156:157], int.from_bytes(field[1:], "big")
    return block[156:157], _octal(field)


def _octal(field: bytes) -> int:
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        raise JudgedBad("a size in the archive is damaged", hint=_HINT) from None


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise JudgedBad("a size in the archive is damaged", hint=_HINT)
    return int(text)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _name(block: bytes) -> str:
    name = _text(block[:100].partition(b"\0")[0])
    posix = block[257:263] == b"ustar\0"
    prefix = _text(block[345:500].partition(b"\0")[0]) if posix else ""
    return f"{prefix}/{name}" if prefix else name


def _extension(source: ByteSource, size: int) -> bytes:
    if size > _LARGEST_EXTENSION:
        raise Inconclusive("a header in the archive is larger than any real one")
    content = source.take(size, _WHERE)
    _padding(source, size)
    return content


def _pax_records(content: bytes) -> dict[str, str]:
    """Records ``LENGTH KEY=VALUE`` and a line end; the length is that of the whole record."""
    records: dict[str, str] = {}
    while content:
        length, _, _ = content.partition(b" ")
        if not (length.isdigit() and len(length) < 8 and 0 < int(length) <= len(content)):
            raise JudgedBad("an extended header in the archive is damaged", hint=_HINT)
        record, content = content[: int(length)], content[int(length) :]
        key, equals, value = record[len(length) + 1 :].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise JudgedBad("an extended header in the archive is damaged", hint=_HINT)
        records[_text(key)] = _text(value[:-1])
    return records


def _skip_sparse_map(source: ByteSource, *, extended: bool) -> None:
    while extended:
        extended = bool(source.take(BLOCK, _WHERE)[504])


def _padding(source: ByteSource, size: int) -> None:
    rest = -size % BLOCK
    if any(source.take(rest, _WHERE)):
        raise JudgedBad("the space between two files in the archive is not empty", hint=_HINT)
