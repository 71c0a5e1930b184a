"""Backups of small PostgreSQL databases kept in memory, and what their restores are asked for."""

from __future__ import annotations

from pathlib import Path

from backup_lib.model import Comparison, Fingerprint, StoreRecord, Target
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.source import PostgresSource
from backup_lib.work import Work
from tests.harness import comparing
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.postgres import PostgresServer

NASTY = ("-dash", 'with "quotes"', "with spaces", "ünïcödé ☃", "wild*card?", "a.b", "it's")


def back_up(server: PostgresServer, dbname: str, work: Work, **settings: object) -> MemorySource:
    given = {**server.params(dbname), **settings, "port": int(server.port)}
    source = PostgresSource("orders", PostgresSettings.model_validate(given), Path("/"))
    kept = MemorySet()
    return kept.finish(source.backup(kept.sink(), work))


def sandbox(server: PostgresServer) -> Target:
    return Target("postgres", server.params(), disposable=True)


def place(server: PostgresServer, dbname: str, **params: str) -> Target:
    return Target("postgres", {**server.params(dbname), **params})


def compared(record: StoreRecord, copy: Target, work: Work) -> Comparison:
    """The copy against the fingerprint of the source."""
    return comparing.compared(PostgresRestorer(), record, copy, work)


def same(source: Fingerprint | None, restored_copy: Fingerprint) -> None:
    assert source is not None
    copied = {(item.kind, item.name): item for item in restored_copy.items}
    for item in source.items:
        restored = copied.pop((item.kind, item.name))
        if item.kind == "sequence":
            assert item.low is not None
            assert restored.low is not None
            assert item.high is not None
            assert item.low <= restored.low <= item.high
        else:
            assert restored == item
    assert not copied


def names(server: PostgresServer) -> set[str]:
    with server.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def rows(server: PostgresServer, dbname: str, query: bytes) -> list[tuple[object, ...]]:
    with server.connect(dbname, client_encoding="UTF8") as connection:
        return connection.execute(query).fetchall()


def fill(server: PostgresServer, dbname: str) -> None:
    with server.connect(dbname) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS n")
