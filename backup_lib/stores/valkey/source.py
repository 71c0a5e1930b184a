"""A configured Valkey server that backups are taken from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backup_lib.model import (
    Fingerprint,
    JsonValue,
    Need,
    NotCovered,
    ServerFacts,
    StoreBackup,
    Target,
)
from backup_lib.stores.base import ArtifactSink, Source
from backup_lib.stores.valkey import facts, needs, users
from backup_lib.stores.valkey.address import connect, place_of, resolve
from backup_lib.stores.valkey.aof.backup import LogSource
from backup_lib.stores.valkey.aof.foreign_names import DETAIL
from backup_lib.stores.valkey.aof.moments import wait_for_rewrite
from backup_lib.stores.valkey.aof.opened import folder_of, opened
from backup_lib.stores.valkey.content import take
from backup_lib.stores.valkey.fingerprinting import expired, private_server, servers_for
from backup_lib.stores.valkey.loading import RDB_NAME, loading
from backup_lib.stores.valkey.rdb import MEDIA_TYPE
from backup_lib.stores.valkey.replication import Synced, full_sync
from backup_lib.stores.valkey.roles import DATA_ROLE, LOG_FORMAT
from backup_lib.stores.valkey.settings import ValkeyStoreSettings
from backup_lib.work import Work
from restoreproof.events import step


@dataclass(frozen=True, slots=True)
class _Received:
    """What was stored, in whatever format: see :class:`StoreBackup`."""

    moment: datetime
    content: Fingerprint | None
    needs: tuple[Need, ...]
    notes: tuple[str, ...]
    details: Mapping[str, JsonValue]


class ValkeySource:
    """One server, with its settings."""

    def __init__(self, name: str, settings: ValkeyStoreSettings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._base = base

    def target(self) -> Target:
        return resolve(self._settings, self.name)

    def probe(self) -> ServerFacts:
        target = self.target()
        with connect(target) as client:
            found = facts.read(client).facts
        if self._settings.format == LOG_FORMAT:
            with opened(self._log_folder(target)):
                pass  # it can be read
        return found

    def backup(self, sink: ArtifactSink, work: Work, *, fingerprint: bool = True) -> StoreBackup:
        work.cancel.check()
        target = self.target()
        with connect(target) as client:
            before = facts.read(client)
            facts.refuse_unfit(before, place_of(target))
            users_before = users.read(client)
        receive = self._receive_log if self._settings.format == LOG_FORMAT else self._receive_rdb
        received = receive(target, before, sink, work, fingerprint=fingerprint)
        with connect(target) as client:
            after = facts.read(client)
            acl = users.settled(users_before, users.read(client))
        users.store(acl, sink)
        content = received.content
        if content is not None:
            content = users.with_users(content, acl)
        return StoreBackup(
            server=before.facts,
            moment=received.moment,
            fingerprint=content,
            needs=received.needs,
            not_covered=(*_not_covered(self._settings.format), *acl.not_covered),
            notes=(*_notes(before), *received.notes, *users.notes(acl)),
            details={
                **received.details,
                "replica": before.replica,
                "fork_microseconds": after.fork_microseconds,
                "databases": {str(n): count for n, count in before.databases.items()},
            },
        )

    def not_backed_up(self, configured: Sequence[Source]) -> tuple[NotCovered, ...]:  # noqa: ARG002  a backup is of the whole server
        return ()

    def _receive_rdb(
        self,
        target: Target,
        info: facts.Info,
        sink: ArtifactSink,
        work: Work,
        *,
        fingerprint: bool,
    ) -> _Received:
        """One full synchronisation: its bytes are stored, and loaded to be fingerprinted."""
        with ExitStack() as stack:
            private: Target | None = None
            if fingerprint:
                servers = servers_for(info, self._settings.programs)
                private = stack.enter_context(private_server(servers, info, work))
            synced = self._stream(target, info, private, sink, work)
            content = None
            if private is not None:
                content = take(private, synced.moment, work, not_covered=expired(private))
        no_checksum = ("the source has checksums of RDB files switched off (rdbchecksum no)",)
        return _Received(
            moment=synced.moment,
            content=content,
            needs=needs.needs(synced.magic, info),
            notes=() if synced.checksum else no_checksum,
            details={"format": synced.magic.decode("ascii"), "checksum": synced.checksum},
        )

    def _receive_log(
        self,
        target: Target,
        info: facts.Info,
        sink: ArtifactSink,
        work: Work,
        *,
        fingerprint: bool,
    ) -> _Received:
        """The append-only file, up to the moment of a synchronisation that is fingerprinted."""
        servers = servers_for(info, self._settings.programs) if fingerprint else None
        with connect(target) as client:
            wait_for_rewrite(client, work)  # the first one makes the folder
        logged = LogSource(target, info, self._log_folder(target), servers).copy(sink, work)
        return _Received(
            moment=logged.moment,
            content=logged.content,
            needs=needs.of_log(info),
            notes=(),
            details={
                "format": LOG_FORMAT,
                "base": logged.base,
                "increments": logged.increments,
                DETAIL: list(logged.commands),
            },
        )

    def _log_folder(self, target: Target) -> Path:
        configured = self._settings.aof_folder
        return folder_of(target, self._base / configured if configured else None)

    def _stream(
        self,
        target: Target,
        info: facts.Info,
        private: Target | None,
        sink: ArtifactSink,
        work: Work,
    ) -> Synced:
        with (
            step(
                work.emit, "sync", "receiving the content", monotonic=work.clock.monotonic
            ) as tells,
            ExitStack() as stack,
        ):
            writer = stack.enter_context(sink.open(RDB_NAME, role=DATA_ROLE, media_type=MEDIA_TYPE))
            load: Callable[[bytes], None] | None = None
            if private is not None:
                load = stack.enter_context(loading(private, work))

            def consume(piece: bytes) -> None:
                writer.write(piece)
                if load is not None:
                    load(piece)
                tells.advance(len(piece))

            return full_sync(target, info.version, consume, work)


def _not_covered(format: str) -> Iterator[NotCovered]:  # noqa: A002  it is the key's name
    file = "an append-only file" if format == LOG_FORMAT else "an RDB file"
    yield NotCovered("server", "valkey.conf, CONFIG SET", f"settings are no part of {file}")
    yield NotCovered("server", "script cache", "scripts of EVAL and SCRIPT LOAD are never saved")


def _notes(info: facts.Info) -> Iterator[str]:
    if info.replica:
        yield "taken from a replica: what it had not received yet is not in it"
    if info.modules:
        yield "the source has modules, whose data only a server with them can load: " + ", ".join(
            info.modules
        )
    if info.policy.startswith(("allkeys", "volatile")):
        yield f"the source drops keys when its memory is full ({info.policy})"
