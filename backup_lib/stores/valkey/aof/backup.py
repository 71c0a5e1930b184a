"""A backup of the append-only file of a source, up to one moment.

That moment is the one of a full synchronisation, whose content is fingerprinted in a private server
and not stored: the copy ends where the commands begin that the server sent to its replicas after
it. So a proof is exact, however much is written meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backup_lib.model import Fingerprint, NotCovered, Target
from backup_lib.stores.base import ArtifactSink
from backup_lib.stores.valkey import facts
from backup_lib.stores.valkey.address import connect, place_of
from backup_lib.stores.valkey.aof import manifest
from backup_lib.stores.valkey.aof.foreign_names import recorded
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
from backup_lib.stores.valkey.rdb import RdbFrame
from backup_lib.stores.valkey.replication import Synced, full_sync, sent
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
        commands: their names where some may not be a server's own.
    """

    moment: datetime
    content: Fingerprint | None
    base: str
    increments: int
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _End:
    """Where the copy ends, and what it is then equal to."""

    moment: datetime
    place: int
    content: Fingerprint | None


@dataclass(frozen=True, slots=True)
class _Since:
    """What the server sent to its replicas between a synchronisation and a moment right after."""

    until: Moment
    stream: tuple[bytes, ...]

    def place(self, log: OpenLog, first: Moment, work: Work) -> int:
        """The byte of the newest increment that is of the moment of the synchronisation."""
        if self.until.ahead != first.ahead:
            raise LogMoved("the server writes somewhere else")
        wait_until_written(log, self.until.end, work)
        return place_before(log, first, self.until, self.stream)


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
            Refused: the server cannot write its append-only file, or has renamed commands in it.
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
                names = recorded(self.target, self.info, _commands(log, end, work))
                return _store(log, end, names, sink, work)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _lost(self, moved: LogMoved) -> Unreachable:
        return Unreachable(
            f"no moment of {place_of(self.target)} could be found in the append-only file at "
            f"{self.folder}: {moved}",
            hint="is it the folder of that server? see the runbook; nothing was stored",
        )

    def _end(self, log: OpenLog, work: Work) -> _End:
        if self.servers is not None:
            return self._proven_end(log, self.servers, work)
        with connect(self.target) as client:
            here = moment(client, log)
        wait_until_written(log, here.end, work)
        return _End(here.at, here.end, None)

    def _proven_end(self, log: OpenLog, servers: PrivateServers, work: Work) -> _End:
        """The moment of a synchronisation, whose content is fingerprinted."""
        since: _Since | None = None

        def forked(replication: str, offset: int) -> None:
            nonlocal since
            # no rewrite can begin while the server's child sends its content, and it waits for us
            since = self._since(log, replication, offset, work)

        with private_server(servers, self.info, work) as private:
            with connect(self.target) as client:
                first = moment(client, log)
            synced = self._load(private, forked, work)
            assert since is not None
            place = since.place(log, first, work)
            content = take(
                private,
                synced.moment,
                work,
                not_covered=(*expired(private), _TIMES),
                method=LOG_METHOD,
            )
        return _End(synced.moment, place, content)

    def _load(self, private: Target, forked: Callable[[str, int], object], work: Work) -> Synced:
        with (
            step(
                work.emit, "sync", "receiving the content", monotonic=work.clock.monotonic
            ) as tells,
            loading(private, work) as load,
        ):

            def consume(piece: bytes) -> None:
                load(piece)
                tells.advance(len(piece))

            return full_sync(self.target, self.info.version, consume, work, forked=forked)

    def _since(self, log: OpenLog, replication: str, offset: int, work: Work) -> _Since:
        """What the server sent to its replicas from that offset of its stream on until now."""
        with connect(self.target) as client:
            last = moment(client, log)
        if last.replication != replication:
            raise LogMoved("the server has begun another history")
        stream = sent(self.target, replication, offset, last.offset, work)
        if stream is None:
            raise LogMoved("the server keeps what it sent for too short (repl-backlog-size)")
        return _Since(last, stream)


def _commands(log: OpenLog, end: _End, work: Work) -> Iterator[bytes]:
    """All commands that are to be copied, one part behind the other."""
    commands = (log.base,) if log.base and not log.base.part.is_rdb else ()
    for part in (*commands, *log.increments):
        for piece in part.read(end=end.place if part is log.newest else None):
            work.cancel.check()
            yield piece


def _store(
    log: OpenLog, end: _End, names: tuple[str, ...], sink: ArtifactSink, work: Work
) -> Logged:
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

        def told(pieces: Iterable[bytes]) -> Iterator[bytes]:
            for piece in pieces:
                work.cancel.check()
                yield piece
                tells.advance(len(piece))

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
    return Logged(end.moment, end.content, base, len(log.increments), names)


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
    if not found.good:
        raise Unreachable(
            f"the base of the append-only file, {part.part.name}, {found.value}",
            hint="the server could not start with it: run BGREWRITEAOF, and look at its disk; "
            "nothing was stored",
        )
