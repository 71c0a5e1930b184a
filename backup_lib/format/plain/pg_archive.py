"""The head of an archive of ``pg_dump`` (custom format, and ``toc.dat`` of the other two).

``PGDMP``, version (three bytes), size of an integer and of an offset, format; then, since archive
version 1.15, the compression (pg_backup_archiver.c, ReadHead).
"""

from __future__ import annotations

from dataclasses import dataclass

from restoreproof.errors import Inconclusive, JudgedBad

MAGIC = b"PGDMP"
HEAD_SIZE = 12

_FORMATS = {1: "custom", 3: "tar", 5: "directory"}
_COMPRESSIONS = ("none", "gzip", "lz4", "zstd")
_COMPRESSION_SINCE = (1, 15)


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
