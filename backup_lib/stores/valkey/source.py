"""A configured Valkey server that backups are taken from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from backup_lib.model import Fingerprint, NotCovered, ServerFacts, StoreBackup, Target
from backup_lib.stores.base import ArtifactSink, Source
from backup_lib.stores.valkey import facts, needs, users
from backup_lib.stores.valkey.address import connect, place_of, resolve
from backup_lib.stores.valkey.content import take
from backup_lib.stores.valkey.loading import RDB_NAME, NotLoaded, loading
from backup_lib.stores.valkey.private import PrivateServers
from backup_lib.stores.valkey.rdb import MEDIA_TYPE
from backup_lib.stores.valkey.replication import Synced, full_sync
from backup_lib.stores.valkey.roles import DATA_ROLE
from backup_lib.stores.valkey.settings import ValkeyStoreSettings
from backup_lib.work import Work
from restoreproof.errors import Inconclusive
from restoreproof.events import step


@dataclass(frozen=True, slots=True)
class _Received:
    """The outcome of the one full synchronisation of a backup."""

    synced: Synced
    content: Fingerprint | None


class ValkeySource:
    """One server, with its settings."""

    def __init__(self, name: str, settings: ValkeyStoreSettings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._base = base

    def target(self) -> Target:
        return resolve(self._settings, self.name)

    def probe(self) -> ServerFacts:
        with connect(self.target()) as client:
            return facts.read(client).facts

    def backup(self, sink: ArtifactSink, work: Work, *, fingerprint: bool = True) -> StoreBackup:
        work.cancel.check()
        target = self.target()
        with connect(target) as client:
            before = facts.read(client)
            facts.refuse_unfit(before, place_of(target))
            users_before = users.read(client)
        received = self._receive(target, before, sink, work, fingerprint=fingerprint)
        with connect(target) as client:
            after = facts.read(client)
            acl = users.settled(users_before, users.read(client))
        users.store(acl, sink)
        content = received.content
        if content is not None:
            content = users.with_users(content, acl)
        return StoreBackup(
            server=before.facts,
            moment=received.synced.moment,
            fingerprint=content,
            needs=needs.needs(received.synced.magic, before),
            not_covered=(*_not_covered(), *acl.not_covered),
            notes=(*_notes(before, received.synced), *users.notes(acl)),
            details={
                "format": received.synced.magic.decode("ascii"),
                "checksum": received.synced.checksum,
                "replica": before.replica,
                "fork_microseconds": after.fork_microseconds,
                "databases": {str(n): count for n, count in before.databases.items()},
            },
        )

    def not_backed_up(self, configured: Sequence[Source]) -> tuple[NotCovered, ...]:  # noqa: ARG002  a backup is of the whole server
        return ()

    def _receive(
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
                servers = PrivateServers(
                    lambda offers: needs.loads_from(info, offers), self._settings.programs
                )
                _refuse_missing(servers, info)
                private = stack.enter_context(servers.start(work))
            try:
                synced = self._stream(target, info, private, sink, work)
            except NotLoaded as refusal:
                raise _not_loaded(refusal, info) from None
            content = None
            if private is not None:
                content = take(private, synced.moment, work, not_covered=_expired(private))
            return _Received(synced, content)

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
            done = 0

            def consume(piece: bytes) -> None:
                nonlocal done
                writer.write(piece)
                if load is not None:
                    load(piece)
                done += len(piece)
                tells.progress(done)

            return full_sync(target, info.version, consume, work)


def _refuse_missing(servers: PrivateServers, info: facts.Info) -> None:
    """Find out before the source pays for a synchronisation."""
    try:
        offers = servers.offers()
    except Inconclusive as missing:
        raise Inconclusive(
            f"the content cannot be fingerprinted: {missing.message}",
            hint=f"{missing.hint}; or set fingerprint = false, and nothing is proven equal",
        ) from None
    if not needs.loads_from(info, offers):
        raise Inconclusive(
            f"{offers.product} {offers.version} of this machine cannot load what "
            f"{info.product} {info.version} sends, so its content cannot be fingerprinted",
            hint="name a newer valkey-server with programs = …, or set fingerprint = false, "
            "and nothing is proven equal",
        )


def _not_loaded(refusal: NotLoaded, info: facts.Info) -> Inconclusive:
    modules = f" (it has the modules {', '.join(info.modules)})" if info.modules else ""
    return Inconclusive(
        f"a server of our own does not load what the source sent{modules}: {refusal}",
        hint="nothing was stored; with fingerprint = false it can be, and is not proven",
    )


def _expired(private: Target) -> tuple[NotCovered, ...]:
    with connect(private) as client:
        count = facts.read(client).expired_while_loading
    if not count:
        return ()
    return (NotCovered("keys", "expired during the backup", f"{count} keys expired, not provable"),)


def _not_covered() -> Iterator[NotCovered]:
    yield NotCovered("server", "valkey.conf, CONFIG SET", "settings are no part of an RDB file")
    yield NotCovered("server", "script cache", "scripts of EVAL and SCRIPT LOAD are never saved")


def _notes(info: facts.Info, synced: Synced) -> Iterator[str]:
    if info.replica:
        yield "taken from a replica: what it had not received yet is not in it"
    if info.modules:
        yield "the source has modules, whose data only a server with them can load: " + ", ".join(
            info.modules
        )
    if not synced.checksum:
        yield "the source has checksums of RDB files switched off (rdbchecksum no)"
    if info.policy.startswith(("allkeys", "volatile")):
        yield f"the source drops keys when its memory is full ({info.policy})"
