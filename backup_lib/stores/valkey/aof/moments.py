"""Which byte of an append-only file belongs to which moment of its server.

The server's ``INFO`` tells, as of one moment, how much it has logged and how much it has sent to
replicas. So a place in the file and an offset of the replication stream can be told to be the same
moment, whatever is written meanwhile.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import valkey

from backup_lib.byte_source import ByteSource
from backup_lib.stores.valkey.aof.commands import walk
from backup_lib.stores.valkey.aof.opened import LogMoved, OpenLog
from backup_lib.work import Work
from restoreproof.errors import JudgedBad, Refused, Unreachable

_LONGEST = 5.0
_TICK = 0.05
_ANOTHER = "what it holds does not go with what the server says"
_OF_REPLICATION = frozenset({b"SELECT", b"PING", b"REPLCONF", b"PUBLISH", b"SPUBLISH"})
"""Change no data: which database follows is said anew on each way, the rest is never logged."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the server, between two commands.

    Attributes:
        at: by the server's clock.
        end: bytes that were logged of the newest increment, be they in the file already or not.
        ahead: bytes that the file holds more than the server counts.
        replication: the id of its replication stream.
        offset: in that stream.
    """

    at: datetime
    end: int
    ahead: int
    replication: str
    offset: int


def moment(client: valkey.Valkey, log: OpenLog) -> Moment:
    """The present one.

    The server's own figure may leave out the base; that distance stays the same until it rewrites
    the file. What the file holds before and after the question gives bounds for it, which meet as
    soon as nothing is written between two looks.

    Raises:
        LogMoved: the file was rewritten, or is written to without a pause.
        Refused: the server cannot write it.
    """
    low, high = -(1 << 62), 1 << 62
    deadline = time.monotonic() + _LONGEST
    while time.monotonic() < deadline:
        before = log.newest.size
        said: dict[str, Any] = client.info()  # type: ignore[assignment]  # typed for both flavours
        after = log.newest.size
        _refuse_broken(said)
        written = int(said["aof_current_size"])
        low, high = max(low, before - written), min(high, after - written)
        if low > high:
            break
        if low == high:
            log.check()
            return Moment(
                at=datetime.fromtimestamp(0, UTC)
                + timedelta(microseconds=int(said["server_time_usec"])),
                end=written + int(said["aof_buffer_length"]) + low,
                ahead=low,
                replication=str(said["master_replid"]),
                offset=int(said["master_repl_offset"]),
            )
    raise LogMoved(_ANOTHER)


def _refuse_broken(said: dict[str, Any]) -> None:
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if said.get(name) != "ok":
            raise Refused(
                f"the server could not write its append-only file ({name}:{said.get(name)})",
                hint="look at its log, make room, and run BGREWRITEAOF; nothing was backed up",
            )


def wait_for_rewrite(client: valkey.Valkey, work: Work) -> None:
    """Wait until the server rewrites nothing.

    Raises:
        Unreachable: it makes no progress.
    """
    begun, seen = work.clock.monotonic(), None
    while True:
        work.cancel.check()
        said: dict[str, Any] = client.info("persistence")  # type: ignore[assignment]  # as above
        if not said.get("aof_rewrite_in_progress") and not said.get("aof_rewrite_scheduled"):
            return
        now = said.get("current_save_keys_processed")
        if now != seen:
            begun, seen = work.clock.monotonic(), now
        if work.clock.monotonic() - begun > work.stall_timeout:
            raise Unreachable(
                f"the server rewrites its append-only file, without progress for "
                f"{work.stall_timeout:.0f} s",
                hint="look at the server's log; nothing was stored",
            )
        time.sleep(_TICK)


def wait_until_written(log: OpenLog, end: int, work: Work) -> None:
    """Wait until the newest increment holds that many bytes: a server writes with a delay.

    Raises:
        Unreachable: it does not come.
    """
    begun = work.clock.monotonic()
    while log.newest.size < end:
        work.cancel.check()
        if work.clock.monotonic() - begun > work.stall_timeout:
            raise Unreachable(
                f"nothing was written to {log.folder / log.newest.part.name} for "
                f"{work.stall_timeout:.0f} s, and the server has more to write",
                hint="is it the folder of that server? then look at its disk and its log; nothing "
                "was stored",
            )
        time.sleep(_TICK)


def place_before(log: OpenLog, first: Moment, last: Moment, sent: Iterable[bytes]) -> int:
    """The byte of the newest increment at which the commands that were sent begin.

    Args:
        log: holds all bytes up to ``last``.
        first: a moment before that place.
        last: the end of what was sent.
        sent: the bytes of the replication stream up to ``last``.

    Raises:
        LogMoved: the same commands are not at the end of the file.
    """
    try:
        hashed = [one for one, _ in _data(sent)]
        kept: deque[tuple[bytes, int]] = deque(maxlen=len(hashed) + 1)
        kept.append((b"", first.end))
        for one, end in _data(log.newest.read(first.end, last.end)):
            kept.append((one, first.end + end))
    except JudgedBad:
        raise LogMoved(_ANOTHER) from None
    if len(kept) <= len(hashed) or [one for one, _ in list(kept)[1:]] != hashed:
        raise LogMoved("it does not hold what the server sent to its replicas")
    return kept[0][1]


def _data(stream: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """A digest of each command that changes data, and where it ends."""
    hashed = hashlib.sha256()

    def take(piece: bytes) -> None:
        hashed.update(piece)

    for command in walk(ByteSource(stream), take):
        if command.name not in _OF_REPLICATION:
            yield hashed.digest(), command.end
        hashed = hashlib.sha256()
