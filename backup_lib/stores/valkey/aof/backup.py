"""A backup of the append-only file of a source, up to one moment.

That moment is the one of a full synchronisation, whose content is fingerprinted in a private server
and not stored: the copy ends where the commands begin that the server sent to its replicas after
it. So a proof is exact, however much is written meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backup_lib.model import Fingerprint, NotCovered, Target
from backup_lib.stores.base import ArtifactSink
from backup_lib.stores.valkey import facts
from backup_lib.stores.valkey.address import connect, place_of
from backup_lib.stores.valkey.aof import manifest
from backup_lib.stores.valkey.aof.moments import (
    Moment,
    moment,
    place_before,
    wait_for_rewrite,
    wait_until_written,
)
from backup_lib.stores.valkey.aof.opened import LogMoved, OpenLog, OpenPart, opened
from backup_lib.stores.valkey.content import LOG_METHOD, take
from backup_lib.stores.valkey.fingerprinting import expired, private_server
from backup_lib.stores.valkey.loading import loading
from backup_lib.stores.valkey.private import PrivateServers
from backup_lib.stores.valkey.rdb import MEDIA_TYPE as RDB_TYPE
from backup_lib.stores.valkey.rdb import Frame, RdbFrame
from backup_lib.stores.valkey.replication import full_sync, sent
from backup_lib.stores.valkey.roles import LOG_BASE_ROLE, LOG_INCREMENT_ROLE, LOG_MANIFEST_ROLE
from backup_lib.work import Work
from restoreproof.errors import Unreachable
from restoreproof.events import Warned, step

LOG_TYPE = "application/vnd.valkey.aof"
_MANIFEST_TYPE = "text/plain"
_ATTEMPTS = 3
_TIMES = NotCovered(
    "streams", "seen and active time of consumers", "they are no part of an append-only file"
)


@dataclass(frozen=True, slots=True)
class Logged:
    """A copied append-only file.

    Attributes:
        moment: that it ends with.
        content: the fingerprint of that moment; None where none was asked for.
        base: whether the base is an ``rdb`` file or ``aof`` commands; ``none`` where there is none.
        increments: how many of the server's there were.
    """

    moment: datetime
    content: Fingerprint | None
    base: str
    increments: int


@dataclass(frozen=True, slots=True)
class _End:
    """Where the copy ends, and what it is then equal to."""

    moment: datetime
    place: int
    content: Fingerprint | None


@dataclass(frozen=True, slots=True)
class LogSource:
    """A server whose append-only file is backed up.

    Attributes:
        target: the server.
        info: what it says about itself.
        folder: of its append-only file.
        servers: to fingerprint its content in; None where none is wanted.
    """

    target: Target
    info: facts.Info
    folder: Path
    servers: PrivateServers | None

    def copy(self, sink: ArtifactSink, work: Work) -> Logged:
        """Store base, increments up to the moment, and a manifest of their names in the set.

        Raises:
            Unreachable: the server or its files broke off, or the moment cannot be found in them.
            Refused: the server cannot write its append-only file.
            Inconclusive: the content cannot be loaded.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            with connect(self.target) as client:
                wait_for_rewrite(client, work)
            with opened(self.folder) as log:
                try:
                    end = self._end(log, work)
                except LogMoved as moved:
                    if attempt == _ATTEMPTS:
                        raise self._lost(moved) from None
                    work.emit(
                        Warned(
                            f"the append-only file of {place_of(self.target)} could not be used: "
                            f"{moved}",
                            f"trying again, {attempt + 1} of {_ATTEMPTS}",
                        )
                    )
                    continue
                return _store(log, end, sink, work)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _lost(self, moved: LogMoved) -> Unreachable:
        return Unreachable(
            f"no moment of {place_of(self.target)} could be found in the append-only file at "
            f"{self.folder}: {moved}",
            hint="is it the folder of that server? see the runbook; nothing was stored",
        )

    def _end(self, log: OpenLog, work: Work) -> _End:
        with connect(self.target) as client:
            first = moment(client, log)
        if self.servers is None:
            wait_until_written(log, first.end, work)
            return _End(first.at, first.end, None)
        return self._proven_end(log, first, self.servers, work)

    def _proven_end(self, log: OpenLog, first: Moment, servers: PrivateServers, work: Work) -> _End:
        """The moment of a synchronisation, whose content is fingerprinted."""
        place = 0

        def forked(replication: str, offset: int) -> None:
            nonlocal place
            # no rewrite can begin while the server's child sends its content
            place = self._place_of(log, first, replication, offset, work)

        with (
            private_server(servers, self.info, work) as private,
            step(
                work.emit, "sync", "receiving the content", monotonic=work.clock.monotonic
            ) as tells,
        ):
            done = 0
            with loading(private, work) as load:

                def consume(piece: bytes) -> None:
                    nonlocal done
                    load(piece)
                    done += len(piece)
                    tells.progress(done)

                synced = full_sync(self.target, self.info.version, consume, work, forked=forked)
            content = take(
                private,
                synced.moment,
                work,
                not_covered=(*expired(private), _TIMES),
                method=LOG_METHOD,
            )
        return _End(synced.moment, place, content)

    def _place_of(
        self, log: OpenLog, first: Moment, replication: str, offset: int, work: Work
    ) -> int:
        """The byte of the newest increment that belongs to that offset of the stream."""
        with connect(self.target) as client:
            last = moment(client, log)
        if last.replication != replication:
            raise LogMoved("the server has begun another history")
        stream = sent(self.target, replication, offset, last.offset, work)
        if stream is None:
            raise LogMoved("the server keeps what it sent for too short (repl-backlog-size)")
        if last.ahead != first.ahead:
            raise LogMoved("the server writes somewhere else")
        wait_until_written(log, last.end, work)
        return place_before(log, first, last, stream)


def _store(log: OpenLog, end: _End, sink: ArtifactSink, work: Work) -> Logged:
    total = sum(part.size for part in log.increments[:-1]) + end.place
    total += log.base.size if log.base else 0
    base = "none"
    name = None
    with step(
        work.emit,
        "copy",
        "copying the append-only file",
        total=total,
        monotonic=work.clock.monotonic,
    ) as tells:
        done = 0

        def told(pieces: Iterable[bytes]) -> Iterator[bytes]:
            nonlocal done
            for piece in pieces:
                work.cancel.check()
                yield piece
                done += len(piece)
                tells.progress(done)

        if log.base:
            base = "rdb" if log.base.part.is_rdb else "aof"
            name = f"{manifest.BASE_NAME}.{base}"
            kind = RDB_TYPE if log.base.part.is_rdb else LOG_TYPE
            with sink.open(name, role=LOG_BASE_ROLE, media_type=kind) as writer:
                for piece in told(_base(log.base)):
                    writer.write(piece)
        with sink.open(
            manifest.INCREMENT_NAME, role=LOG_INCREMENT_ROLE, media_type=LOG_TYPE
        ) as writer:
            # each of them begins with the database that it is about
            for part in log.increments:
                for piece in told(part.read(end=end.place if part is log.newest else None)):
                    writer.write(piece)
        with sink.open(
            manifest.MANIFEST_NAME, role=LOG_MANIFEST_ROLE, media_type=_MANIFEST_TYPE
        ) as writer:
            writer.write(manifest.text_of(name))
    return Logged(end.moment, end.content, base, len(log.increments))


def _base(part: OpenPart) -> Iterator[bytes]:
    """Its bytes; a damaged one is not stored."""
    if not part.part.is_rdb:
        yield from part.read()
        return
    frame = RdbFrame()
    for piece in part.read():
        frame.add(piece)
        yield piece
    found = frame.judge()
    if found not in (Frame.WHOLE, Frame.NO_CHECKSUM):
        raise Unreachable(
            f"the base of the append-only file, {part.part.name}, {found.value}",
            hint="the server could not start with it: run BGREWRITEAOF, and look at its disk; "
            "nothing was stored",
        )
