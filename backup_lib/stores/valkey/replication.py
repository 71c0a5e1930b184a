"""One full synchronisation with a server, as a replica would ask for it.

The server forks once and streams an RDB file; with ``rdb-only`` (from 7.0 on) it ends there and
keeps no replication buffer for us. Servers from 9.0 on write the format of the replica's version
unless told it, so we say theirs: what arrives is the source's own RDB version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import valkey

from backup_lib.model import Target
from backup_lib.stores.valkey.address import place_of, raw_connection
from backup_lib.stores.valkey.rdb import Frame, RdbFrame
from backup_lib.work import Work
from restoreproof.errors import Unreachable

_CHUNK = 1 << 18
_TICK = 0.2
_LONGEST_LINE = 4096
_MARK = 40


def _nothing(_replication: str, _offset: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Synced:
    """What was received.

    Attributes:
        moment: that its content is of.
        magic: header of the RDB file.
        size: bytes.
        checksum: whether it carries one, which was right.
    """

    moment: datetime
    magic: bytes
    size: int
    checksum: bool


def full_sync(
    target: Target,
    version: str,
    consume: Callable[[bytes], object],
    work: Work,
    *,
    forked: Callable[[str, int], object] = _nothing,
) -> Synced:
    """Have the server stream its content, and hand it on piece by piece.

    Args:
        target: the source.
        version: of the server.
        consume: takes the bytes of the RDB file, in order.
        work: cancellation and the deadline on progress.
        forked: is told the id of the replication stream, and the offset in it that the content is
            of, before the content comes.

    Raises:
        Unreachable: the server refuses it, broke off, is stuck, or what it sent is no whole RDB.
        Interrupted: it was asked for.
    """
    frame = RdbFrame()

    def take(piece: bytes) -> None:
        frame.add(piece)
        try:
            consume(piece)
        except OSError as error:  # not the source's: it must not be blamed on the connection
            raise _NotTaken(error) from None

    try:
        begun = _received(target, version, take, forked, work)
    except _NotTaken as failed:
        raise failed.error from None
    found = frame.judge()
    if not found.good:
        raise Unreachable(
            f"what {place_of(target)} sent {found.value}",
            hint="nothing was stored; look at the server's log, and run it again",
        )
    return Synced(
        moment=_moment(begun, frame.written),
        magic=frame.magic,
        size=frame.size,
        checksum=found is Frame.WHOLE,
    )


def sent(
    target: Target, replication: str, after: int, until: int, work: Work
) -> tuple[bytes, ...] | None:
    """What the server sent to its replicas between two offsets; None where it keeps that no more.

    Raises:
        Unreachable: the server refuses it, broke off, or is stuck.
    """
    if until < after:
        return None
    if until == after:
        return ()
    with raw_connection(target) as connection:
        connection.send_command("PSYNC", replication, str(after + 1))
        stream = _Stream(connection, place_of(target), work)
        answer = stream.line()
        if answer.startswith(b"+FULLRESYNC"):
            return None
        if not answer.startswith(b"+CONTINUE"):
            raise _refused(answer, place_of(target))
        return tuple(stream.exactly(until - after))


class _NotTaken(Exception):
    """Whoever takes the bytes failed."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _received(
    target: Target,
    version: str,
    take: Callable[[bytes], object],
    forked: Callable[[str, int], object],
    work: Work,
) -> datetime:
    """Receive all of it; the moment at which the server began to answer, by its clock."""
    with _replica(target, version) as (connection, clock):
        connection.send_command("PSYNC", "?", "-1")
        stream = _Stream(connection, place_of(target), work)
        answer = stream.line()
        if not answer.startswith(b"+FULLRESYNC"):
            raise _refused(answer, place_of(target))
        begun = clock()
        _, replication, offset = answer.split()[:3]
        forked(replication.decode("ascii"), int(offset))
        for piece in stream.payload():
            take(piece)
    return begun


def _moment(begun: datetime, written: datetime | None) -> datetime:
    """The start of the answer, unless the server says that it gave us an earlier copy."""
    if written is None or written <= begun < written + timedelta(seconds=2):
        return begun
    return written


@contextmanager
def _replica(target: Target, version: str) -> Iterator[tuple[Any, Callable[[], datetime]]]:
    """A connection that is about to ask for a synchronisation, and the server's clock."""
    with raw_connection(target) as connection:
        connection.send_command("TIME")
        seconds, micros = connection.read_response()
        then = datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(micros))
        since = time.monotonic()
        for words in (("capa", "eof"), ("rdb-only", "1"), ("version", version)):
            connection.send_command("REPLCONF", *words)
            with suppress(valkey.ResponseError):  # an older server does not know all of them
                connection.read_response()
        yield connection, lambda: then + timedelta(seconds=time.monotonic() - since)


def _refused(answer: bytes, place: str) -> Unreachable:
    said = answer.lstrip(b"-").decode("utf-8", "replace")[:200]
    if answer.startswith(b"-NOPERM"):
        return Unreachable(
            f"{place} gives this user no permission to replicate",
            hint="grant it +psync +replconf +ping +info +time",
        )
    return Unreachable(
        f"{place} refuses to be replicated: {said}",
        hint="managed services often forbid it; back up from a replica of your own",
    )


class _Stream:
    """The bytes behind PSYNC's answer, with a deadline on progress."""

    def __init__(self, connection: Any, place: str, work: Work) -> None:  # noqa: ANN401  untyped
        # the parser has read nothing ahead: every answer before was complete
        self._socket = connection._sock  # noqa: SLF001  the client has no other way to it
        self._socket.settimeout(_TICK)
        self._place = place
        self._work = work
        self._rest = b""

    def line(self) -> bytes:
        """The next line that is not empty: empty ones only say that the server is at work."""
        while True:
            line, end, rest = self._rest.partition(b"\n")
            if end:
                self._rest = rest
                if line.strip():
                    return line.strip()
            elif len(line) > _LONGEST_LINE:
                raise Unreachable(
                    f"{self._place} does not speak the replication protocol",
                    hint="is there a proxy before the server? name the server itself",
                )
            else:
                self._rest += self._receive()

    def payload(self) -> Iterator[bytes]:
        """The RDB file: of a length given beforehand, or up to a mark given beforehand."""
        head = self.line()
        if head.startswith(b"$EOF:") and len(head) == len(b"$EOF:") + _MARK:
            yield from self._until(head[len(b"$EOF:") :])
        elif head.startswith(b"$") and head[1:].isdigit():
            yield from self.exactly(int(head[1:]))
        else:
            raise _refused(head, self._place)

    def exactly(self, size: int) -> Iterator[bytes]:
        """The next ``size`` bytes, in pieces."""
        while size:
            piece, self._rest = (self._rest or self._receive()), b""
            yield piece[:size]
            size -= min(size, len(piece))

    def _until(self, mark: bytes) -> Iterator[bytes]:
        held = self._rest
        self._rest = b""
        while not held.endswith(mark):
            if len(held) > _CHUNK:
                yield held[:-_MARK]
                held = held[-_MARK:]
            held += self._receive()
        yield held[:-_MARK]

    def _receive(self) -> bytes:
        begun = self._work.clock.monotonic()
        while True:
            self._work.cancel.check()
            try:
                received: bytes = self._socket.recv(_CHUNK)
            except TimeoutError:
                if self._work.clock.monotonic() - begun > self._work.stall_timeout:
                    raise Unreachable(
                        f"{self._place} sent nothing for {self._work.stall_timeout:.0f} s",
                        hint="look at the server's log; nothing was stored",
                    ) from None
                continue
            if not received:
                raise Unreachable(
                    f"{self._place} broke off while it sent its content",
                    hint="look at the server's log (client-output-buffer-limit replica, "
                    "repl-timeout, a failed fork); nothing was stored",
                )
            return received
