"""The frame of an RDB file: header, end mark, CRC-64 over all of it.

``REDIS`` and four digits, or ``VALKEY`` and three; at the end 0xFF and the CRC-64 (reflected
polynomial 0x95ac9329ac4bc9b5, initial value 0, little-endian) of everything before it. A CRC of 0
means that the server has checksums switched off.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import Enum

import anycrc  # type: ignore[import-untyped]  # ships no types

from backup_lib.model import ServerFacts

MAGIC = re.compile(rb"REDIS\d{4}|VALKEY\d{3}")
MEDIA_TYPE = "application/vnd.valkey.rdb"

MAGIC_SIZE = 9
HEAD_SIZE = 512
"""Bytes at the beginning that hold what the file says about itself."""

_TAIL = 9
_END = 0xFF
_CTIME = b"\xfa\x05ctime\xc2"
_WRITER = re.compile(rb"\xfa.(valkey|redis)-ver.(\d+\.\d+[\d.]*)", re.DOTALL)
_OLDEST_FOREIGN, _NEWEST_FOREIGN = 12, 79


class Frame(Enum):
    """What the frame of an RDB file says about it."""

    WHOLE = "whole"
    NO_MAGIC = "does not begin as an RDB file does"
    NO_END = "ends without the end mark of an RDB file"
    NO_CHECKSUM = "was saved without a checksum"
    WRONG_CHECKSUM = "has a wrong checksum (CRC-64): some byte has changed"

    @property
    def good(self) -> bool:
        """Whether nothing speaks against the file: saved without a checksum is no damage."""
        return self in (Frame.WHOLE, Frame.NO_CHECKSUM)


class RdbFrame:
    """Takes the bytes of an RDB file one after the other, and judges them at the end."""

    def __init__(self) -> None:
        self._crc64 = anycrc.Model("CRC64-REDIS")
        self._crc = 0
        self._head = b""
        self._held = b""
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size += len(piece)
        if len(self._head) < HEAD_SIZE:
            self._head = (self._head + piece)[:HEAD_SIZE]
        self._held += piece
        if len(self._held) > _TAIL:
            self._crc = self._crc64.calc(self._held[:-_TAIL], self._crc)
            self._held = self._held[-_TAIL:]

    @property
    def magic(self) -> bytes:
        """The header, such as ``VALKEY080``."""
        return self._head[:MAGIC_SIZE]

    @property
    def written(self) -> datetime | None:
        """When the server began to write it, by its own clock, in whole seconds."""
        at = self._head.find(_CTIME)
        seconds = self._head[at + len(_CTIME) :][:4]
        if at < 0 or len(seconds) < 4:
            return None
        return datetime.fromtimestamp(int.from_bytes(seconds, "little"), UTC)

    @property
    def checksum(self) -> int:
        """The CRC-64 of everything but the last eight bytes, which should hold it."""
        checksum: int = self._crc64.calc(self._held[:1], self._crc)
        return checksum

    def judge(self) -> Frame:
        """The judgement, once all bytes were taken."""
        if not MAGIC.fullmatch(self.magic):
            return Frame.NO_MAGIC
        if self.size < MAGIC_SIZE + _TAIL or self._held[0] != _END:
            return Frame.NO_END
        expected = int.from_bytes(self._held[1:], "little")
        if expected == 0:
            return Frame.NO_CHECKSUM
        if self.checksum != expected:
            return Frame.WRONG_CHECKSUM
        return Frame.WHOLE


def is_foreign(magic: bytes) -> bool:
    """Whether only Redis 7.4 and newer can load it: versions 12 to 79 are not Valkey's."""
    found = re.fullmatch(rb"REDIS(\d{4})", magic)
    return found is not None and _OLDEST_FOREIGN <= int(found[1]) <= _NEWEST_FOREIGN


def writer(head: bytes) -> ServerFacts:
    """The server that wrote an RDB file, by its head; version empty where it does not tell."""
    found = _WRITER.search(head)
    if found is None:
        return ServerFacts("Valkey", "")
    return ServerFacts("Redis" if found[1] == b"redis" else "Valkey", found[2].decode("ascii"))


def least_server(magic: bytes, version: str) -> str:
    """The oldest Valkey that loads it, as ``MAJOR.MINOR``.

    Args:
        magic: the header of the RDB file.
        version: of the server that wrote it, for headers that came later than this software.
    """
    if magic.startswith(b"REDIS"):
        return "7.2"
    if magic == b"VALKEY080":
        return "9.0"
    return ".".join(version.split(".")[:2])
