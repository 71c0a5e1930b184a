"""The head of an archive of ``pg_dump`` (custom format, and ``toc.dat`` of the other two).

``PGDMP``, version (three bytes), size of an integer and of an offset, format; then, since archive
version 1.15, the compression; then when it was made, and by and from which version
(pg_backup_archiver.c, ReadHead).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from restoreproof.errors import Inconclusive, JudgedBad

MAGIC = b"PGDMP"
HEAD_SIZE = 12
ORIGIN_SIZE = 4096
"""Bytes that hold the origin, for any name of a database and in every format."""

_TAR_HEADER = 512
"""Bytes before the content of a tar's first member, which is the table of contents."""

_FORMATS = {1: "custom", 3: "tar", 5: "directory"}
_COMPRESSIONS = ("none", "gzip", "lz4", "zstd")
_COMPRESSION_SINCE = (1, 15)
_ORIGIN_SINCE = (1, 12)
"""PostgreSQL 9.0; older ones are not read."""


@dataclass(frozen=True, slots=True)
class ArchiveHead:
    """What the first bytes say.

    Attributes:
        version: of the archive format, such as ``(1, 16, 0)``.
        format: ``custom``, ``tar`` or ``directory``.
        compression: ``none``, ``gzip``, ``lz4``, ``zstd``; empty where the version does not tell.
    """

    version: tuple[int, int, int]
    format: str
    compression: str

    @property
    def protection(self) -> str:
        """What stands behind a pass, for the reason: only gzip carries a checksum."""
        if self.compression == "gzip":
            return "its data agrees with the checksums of gzip"
        if not self.compression:
            return "whether its data carries checksums is not known"
        return (
            f"its data (compression {self.compression}) carries no checksum, so a changed byte may "
            "go unnoticed: only a restore and a comparison of content show it"
        )


@dataclass(frozen=True, slots=True)
class ArchiveOrigin:
    """Where an archive comes from, as it says itself.

    Attributes:
        made: when the dump began, in the local time of whoever made it: the zone is not told.
        server: version of the server it was dumped from, such as ``18.6``; empty where not told.
        tool: version of the pg_dump that made it.
    """

    made: datetime | None
    server: str
    tool: str


def parse(head: bytes) -> ArchiveHead:
    """Read the first :data:`HEAD_SIZE` bytes.

    Raises:
        JudgedBad: it is no archive, or cut.
        Inconclusive: it is one of a version that is not known.
    """
    if not head.startswith(MAGIC) or len(head) < HEAD_SIZE:
        raise JudgedBad(
            "it does not begin as an archive of pg_dump does", hint="take another copy of it"
        )
    version = (head[5], head[6], head[7])
    kind = _FORMATS.get(head[10])
    if version[0] != 1 or kind is None:
        raise Inconclusive(
            f"its archive version {version[0]}.{version[1]} or format is not known",
            hint="pg_restore --list of a newer PostgreSQL may know it",
        )
    compression = ""
    if version[:2] >= _COMPRESSION_SINCE:
        if head[11] >= len(_COMPRESSIONS):
            raise Inconclusive("its compression is not known", hint="use a newer PostgreSQL")
        compression = _COMPRESSIONS[head[11]]
    return ArchiveHead(version, kind, compression)


def origin(head: bytes) -> ArchiveOrigin | None:
    """Read on behind the head; None where it is cut or nothing that is known.

    Args:
        head: the first :data:`ORIGIN_SIZE` bytes of the archive, fewer where it is shorter; of the
            directory format those of its ``toc.dat``.
    """
    if head[_TAR_HEADER:].startswith(MAGIC):
        head = head[_TAR_HEADER:]
    if not head.startswith(MAGIC) or len(head) < HEAD_SIZE or not 1 <= head[8] <= _LARGEST_INTEGER:
        return None
    version = (head[5], head[6])
    if version[0] != 1 or version < _ORIGIN_SINCE:
        return None
    fields = _Fields(head, head[8], at=HEAD_SIZE - 1)
    try:
        if version >= _COMPRESSION_SINCE:
            fields.octet()
        else:
            fields.integer()
        made = _moment([fields.integer() for _ in range(7)])
        fields.text()  # the database's name
        return ArchiveOrigin(made, _version(fields.text()), _version(fields.text()))
    except EOFError:
        return None


_LARGEST_INTEGER = 8
_FIRST_YEAR, _LAST_YEAR = 1996, 2200  # PostgreSQL's first; anything later is damage


class _Fields:
    """Integers are a sign and ``size`` bytes, lowest first; texts an integer and their bytes."""

    def __init__(self, data: bytes, size: int, at: int) -> None:
        self._data = data
        self._size = size
        self._at = at

    def octet(self) -> int:
        return self._take(1)[0]

    def integer(self) -> int:
        negative = self.octet()
        value = int.from_bytes(self._take(self._size), "little")
        return -value if negative else value

    def text(self) -> str:
        length = self.integer()
        return self._take(length).decode(errors="replace") if length > 0 else ""

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise EOFError
        self._at += count
        return taken


def _moment(fields: list[int]) -> datetime | None:
    """From a ``struct tm``: seconds first, months from 0, years from 1900."""
    second, minute, hour, day, month, year, _summer = fields
    if not _FIRST_YEAR <= year + 1900 <= _LAST_YEAR:
        return None
    try:
        at = (year + 1900, month + 1, day, hour, minute, min(second, 59))
        return datetime(*at)  # noqa: DTZ001  # the archive tells no zone
    except ValueError:
        return None


def _version(said: str) -> str:
    """Without the distribution's addition."""
    return said.partition(" ")[0]
