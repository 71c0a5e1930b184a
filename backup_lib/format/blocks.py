"""Blocks of bytes as a stream."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Blocks(io.RawIOBase):
    """Blocks as a raw stream, for :class:`io.BufferedReader`."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        with memoryview(buffer) as wanted:
            count = min(len(wanted), len(self._rest))
            wanted[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
