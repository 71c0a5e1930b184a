"""A configured PostgreSQL database that backups are taken from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from backup_lib.limits import refuse_too_many
from backup_lib.model import Fingerprint, JsonValue, NotCovered, ServerFacts, StoreBackup, Target
from backup_lib.stores.base import ArtifactSink, Source
from backup_lib.stores.postgres import catalog, features
from backup_lib.stores.postgres.address import ENCRYPTED, resolve
from backup_lib.stores.postgres.cluster import dump_cluster
from backup_lib.stores.postgres.connection import connect, database_of, place_of, translated, value
from backup_lib.stores.postgres.content import (
    Beside,
    held,
    read_beside,
    take_held,
    whole,
    with_roles,
)
from backup_lib.stores.postgres.content.tables import Table
from backup_lib.stores.postgres.dump import DumpJob, dump_custom, dump_directory, has_room
from backup_lib.stores.postgres.needs import needs
from backup_lib.stores.postgres.pooler import refuse_transaction_pool
from backup_lib.stores.postgres.programs import Programs, client_tools
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.snapshot import Snapshot, exported_snapshot
from backup_lib.stores.postgres.watcher import Watcher
from backup_lib.work import Work
from restoreproof.errors import Refused, Unreachable
from restoreproof.events import Warned
from restoreproof.process import Cancellation
from restoreproof.together import together

_MOST_JOBS = 8
_MOST_SIZES = 1000
_LARGE = 1 << 20
_MAINTENANCE = "postgres"


@dataclass(frozen=True, slots=True)
class _Run:
    """One backup while it is made."""

    target: Target
    programs: Programs
    application: str
    snapshot: Snapshot
    database: catalog.Database
    settings: Mapping[str, str]
    jobs: int


@dataclass(frozen=True, slots=True)
class _Dumped:
    """What is known of the content.

    Attributes:
        content: its fingerprint; None where none was asked for.
        table_sizes: bytes by OID of the largest tables: a hint for sharing a restore out.
    """

    content: Fingerprint | None
    table_sizes: dict[str, JsonValue]


class PostgresSource:
    """One database, with its settings."""

    def __init__(self, name: str, settings: PostgresSettings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._base = base

    def target(self) -> Target:
        return resolve(self._settings, self._base)

    def probe(self) -> ServerFacts:
        target = self.target()
        with connect(target) as connection, translated(target, "looking at the server"):
            return catalog.offers(connection)

    def backup(self, sink: ArtifactSink, work: Work, *, fingerprint: bool = True) -> StoreBackup:
        work.cancel.check()
        target = self.target()
        refuse_transaction_pool(target)
        programs = self._programs(target)
        application = f"restoreproof-{os.getpid()}-{os.urandom(4).hex()}"
        with exported_snapshot(target, application) as snapshot:
            with translated(target, "reading the catalogue"):
                database = catalog.database(snapshot.connection)
                required = needs(snapshot.connection, database)
                version = catalog.version(snapshot.connection)
            jobs = self._settings.jobs or min(work.jobs, _MOST_JOBS)
            settings = _settings(snapshot.connection, database)
            run = _Run(target, programs, application, snapshot, database, settings, jobs)
            dumped = self._dump(run, sink, work, fingerprint=fingerprint)
        details = {
            **database.as_details(),
            "dumped_by": programs.version,
            "format": self._format(database, work),
            "replica": snapshot.replica,
            "table_sizes": dumped.table_sizes,
        }
        content = dumped.content
        notes = list(_replica_notes(snapshot))
        not_covered = list(_not_covered(database))
        if self._settings.globals:
            cluster = dump_cluster(target, programs, sink, work)
            notes += cluster.notes
            not_covered += cluster.not_covered
            details["passwords"] = cluster.passwords
            if content and cluster.roles:
                content = with_roles(content, cluster.roles)
        else:
            not_covered.append(NotCovered("globals", "roles and tablespaces", "globals = false"))
        return StoreBackup(
            server=ServerFacts(catalog.PRODUCT, version),
            moment=snapshot.moment,
            fingerprint=content,
            needs=required,
            not_covered=tuple(not_covered),
            notes=tuple(notes),
            details=details,
        )

    def not_backed_up(self, configured: Sequence[Source]) -> tuple[NotCovered, ...]:
        target = self.target()
        covered = {_identity(source.target()) for source in configured}
        with connect(target) as connection, translated(target, "listing the databases"):
            names = [
                name
                for (name,) in connection.execute(
                    "SELECT datname FROM pg_database"
                    " WHERE datallowconn AND NOT datistemplate ORDER BY 1"
                )
            ]
        return tuple(
            NotCovered("database", name, "no configured store backs it up")
            for name in names
            if _identity(target, name) not in covered
            and not (name == _MAINTENANCE and _holds_nothing(target, name))
        )

    def _programs(self, target: Target) -> Programs:
        with connect(target) as connection:
            server = catalog.major(connection)
            if server < features.OLDEST_MAJOR:
                raise Refused(
                    f"{place_of(target)} is PostgreSQL {catalog.version(connection)}; "
                    f"{features.OLDEST_MAJOR} is the oldest that is supported",
                    hint="upgrade the server; it gets no fixes any more",
                )
        encrypted = target.params.get("sslmode") in ENCRYPTED
        return client_tools(server, encrypted=encrypted, folder=self._settings.programs)

    def _format(self, database: catalog.Database, work: Work) -> str:
        if self._settings.format == "directory" and has_room(work.scratch, database.size):
            return "directory"
        return "custom"

    def _dump(self, run: _Run, sink: ArtifactSink, work: Work, *, fingerprint: bool) -> _Dumped:
        """Dump, fingerprint and watch at once; whichever fails first stops the others."""
        age = self._settings.max_snapshot_age
        watcher = Watcher(
            run.target,
            run.application,
            work.emit,
            max_age=age.total_seconds() if age else None,
            monotonic=work.clock.monotonic,
        )
        job = DumpJob(
            target=run.target,
            application=run.application,
            snapshot=run.snapshot.name,
            programs=run.programs,
            jobs=run.jobs,
            lock_timeout=self._settings.lock_timeout.total_seconds(),
            pulse=lambda: watcher.pulse,
            settings=run.settings,
        )
        dump = dump_custom
        if self._settings.format == "directory":
            if self._format(run.database, work) == "directory":
                dump = dump_directory
            else:
                work.emit(
                    Warned(
                        f"{work.scratch} has no room for a dump in directory format: "
                        "it is made as one stream",
                        hint="name a scratch folder with more room",
                    )
                )

        def connection() -> psycopg.Connection:
            return connect(run.target, application=run.application)

        def beside(cancel: Cancellation, *, after: bool) -> Beside:
            return read_beside(
                connection,
                snapshot=run.snapshot.name,
                lock_timeout=job.lock_timeout,
                work=replace(work, cancel=cancel),
                after=after,
            )

        def content(cancel: Cancellation) -> _Dumped:
            pieces: dict[str, Callable[[Cancellation], object]] = {
                "dump": lambda stop: dump(job, sink, work, stop)
            }
            try:
                if fingerprint:
                    before = beside(cancel, after=False)
                    refuse_too_many(before.schema.items, place_of(run.target))
                with held(
                    connection,
                    snapshot=run.snapshot.name,
                    work=replace(work, cancel=cancel),
                    lock_timeout=job.lock_timeout,
                ) as tables:
                    if fingerprint:
                        pieces["fingerprint"] = lambda stop: take_held(
                            connection, tables, jobs=run.jobs, work=replace(work, cancel=stop)
                        )
                    done = together(cancel, pieces)
                taken: Fingerprint | None = done.get("fingerprint")
                taken = taken and whole(taken, before, beside(cancel, after=True))
                return _Dumped(taken, _sizes(tables.tables))
            finally:
                watcher.stop()

        done = together(work.cancel, {"content": content, "watcher": watcher.watch})
        dumped: _Dumped = done["content"]
        return dumped


def _sizes(tables: Sequence[Table]) -> dict[str, JsonValue]:
    return {str(table.oid): table.size for table in tables[:_MOST_SIZES] if table.size >= _LARGE}


def _settings(connection: psycopg.Connection, database: catalog.Database) -> dict[str, str]:
    """For the sessions of pg_dump, which sets all that changes what values look like but this."""
    if database.money and catalog.monetary_locale(connection) not in (catalog.MONETARY, "POSIX"):
        return {"lc_monetary": catalog.MONETARY}
    return {}


def _identity(target: Target, dbname: str | None = None) -> tuple[str, str, str]:
    """What tells databases apart without connecting to each."""
    params = target.params
    host = params.get("hostaddr") or params.get("host") or ""
    return host, params.get("port", "5432"), dbname or database_of(target)


def _holds_nothing(target: Target, dbname: str) -> bool:
    """Whether a database is as initdb made it. One that we may not look into counts as used."""
    try:
        with connect(target, dbname=dbname) as connection:
            return not value(connection, catalog.HAS_USER_OBJECTS)
    except (Unreachable, psycopg.Error):
        return False


def _replica_notes(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.replica:
        yield "taken from a replica: what it had not applied yet is not in it"


def _not_covered(database: catalog.Database) -> Iterator[NotCovered]:
    yield NotCovered(
        "server", "postgresql.conf, pg_hba.conf", "configuration files are no part of a dump"
    )
    for name in database.tablespaces:
        yield NotCovered("tablespace", name, "a rehearsed restore uses the default tablespace")
