"""When a plain backup was made, as it says itself: a copy of an old one has a new file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.stores.postgres import archive_head
from backup_lib.stores.valkey import rdb
from restoreproof.errors import Inconclusive, JudgedBad

_LOG_BASE = re.compile(rb"\xfa.aof-(?:base|preamble)\xc0\x01", re.DOTALL)
"""Commands follow such an RDB file, or lie beside it: it tells nothing of their age."""
_CHUNK = 4096
_HEAD_SIZE = max(archive_head.ORIGIN_SIZE, rdb.HEAD_SIZE)


def made(path: Path) -> datetime | None:
    """The moment that an archive of ``pg_dump`` or an RDB file, compressed or not, names.

    Returns:
        it, with a time zone where the format has one, else in the local time of its maker; None
        for what does not tell.

    Raises:
        OSError: it cannot be read.
    """
    file = path / "toc.dat" if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            head = _head(stream)
    except FileNotFoundError:
        return None
    if rdb.MAGIC.match(head):
        frame = rdb.RdbFrame()
        frame.add(head)
        return None if _LOG_BASE.search(head) else frame.written
    origin = archive_head.origin(head)
    return origin.made if origin else None


def _head(stored: BinaryIO) -> bytes:
    """The first plain bytes; as many as there are where the rest is damaged, which others judge."""
    head = b""
    try:
        for piece in PlainStream(_chunks(stored)):
            head += piece
            if len(head) >= _HEAD_SIZE:
                break
    except (JudgedBad, Inconclusive):
        pass
    return head[:_HEAD_SIZE]


def _chunks(stored: BinaryIO) -> Iterator[bytes]:
    while chunk := stored.read(_CHUNK):
        yield chunk
