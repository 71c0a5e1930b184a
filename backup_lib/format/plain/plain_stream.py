"""The plain bytes of a file that may be compressed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from backup_lib.byte_source import ByteSource
from backup_lib.format.plain import gzip_members, zstd_frames
from restoreproof.errors import Inconclusive

_HARMLESS_SIZE = 1 << 30
_HARMLESS_RATIO = 2000
"""gzip reaches 1032 at most; zstd over 30,000, which no real data does."""


class PlainStream:
    """Iterate once over the plain bytes; afterwards the attributes are final.

    Attributes:
        compression: as the first bytes say.
        size: plain bytes so far.
        checksummed: whether a checksum in the compressed data covers all of them.
    """

    def __init__(self, stored: Iterable[bytes]) -> None:
        self._source = ByteSource(stored)
        self.size = 0
        self._all_frames_checked = True
        head = self._source.peek(4)
        self.compression: Literal["gzip", "zstd", ""] = ""
        if head.startswith(gzip_members.MAGIC):
            self.compression = "gzip"
        elif head == zstd_frames.MAGIC:
            self.compression = "zstd"

    @property
    def checksummed(self) -> bool:
        """Whether a checksum covers every byte read so far."""
        return bool(self.compression) and self._all_frames_checked

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            JudgedBad: the compressed data is damaged, cut, or followed by something else.
            Inconclusive: it expands beyond all reason.
        """
        for piece in self._decompressed():
            self.size += len(piece)
            if self.size > max(_HARMLESS_SIZE, _HARMLESS_RATIO * self._source.position):
                raise Inconclusive(
                    f"it expands to more than {_HARMLESS_RATIO} times its size, and was read no "
                    "further",
                    hint="decompress it by hand where there is room, and look what it is",
                )
            if piece:
                yield piece

    def _decompressed(self) -> Iterator[bytes]:
        if self.compression == "gzip":
            return gzip_members.gunzip(self._source)
        if self.compression == "zstd":
            return zstd_frames.unzstd(self._source, self._frame)
        return self._source.rest()

    def _frame(self, checked: bool) -> None:
        self._all_frames_checked &= checked

    @property
    def protection(self) -> str:
        """What stands behind a pass, for the reason."""
        if self.checksummed:
            return f"every byte agrees with the checksum of {self.compression}"
        return "it carries no checksum, so a changed byte may go unnoticed: only a restore shows it"
