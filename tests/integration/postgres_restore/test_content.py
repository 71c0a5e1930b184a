"""What is restored is equal, and what hinders that is told strictly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backup_lib.model import Need, ServerFacts
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.work import Work
from restoreproof.errors import (
    JudgedBad,
    Refused,
    Unreachable,
)
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import MakeServer, PostgresServer
from tests.harness.restores import back_up, names, place, rows, same, sandbox


@pytest.mark.parametrize("settings", [{}, {"format": "directory", "jobs": 2}])
def test_everything_comes_back_equal(
    other: PostgresServer,
    work: Work,
    shop: PostgresServer,
    settings: dict[str, object],
) -> None:
    source = back_up(shop, "shop", work, **settings)
    restorer = PostgresRestorer()
    restored = restorer.restore(source, sandbox(other), RestoreOptions(), work)
    assert restored.tolerated == ()
    assert restored.target.params["dbname"] == "shop"
    copied = restorer.fingerprint(source.record, restored.target, work)
    same(source.record.backup.fingerprint, copied)
    assert rows(other, "shop", b"SHOW work_mem") == [("5MB",)]
    query = (
        b"SELECT pg_get_userbyid(relowner), relrowsecurity, relacl::text FROM pg_class"
        b" WHERE oid = 'public.orders'::regclass"
    )
    assert rows(other, "shop", query) == [("clerk", True, "{clerk=arwdDxtm/clerk,reader=r/clerk}")]
    owner = b"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"
    assert rows(other, "postgres", owner) == [("clerk",)]
    assert list(work.scratch.iterdir()) == []


def test_a_database_called_postgres_is_restored_too(
    make_server: MakeServer, other: PostgresServer, work: Work
) -> None:
    server = make_server()
    with server.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    source = back_up(server, "postgres", work)
    restored = PostgresRestorer().restore(source, sandbox(other), RestoreOptions(), work)
    assert restored.target.params["dbname"] == "postgres"
    assert rows(other, "postgres", b"SELECT n FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("encoding", "text"), [("LATIN1", "grün"), ("SQL_ASCII", "plain"), ("EUC_JP", "日本")]
)
def test_other_encodings_come_back_equal(
    postgres: PostgresServer, make_server: MakeServer, work: Work, encoding: str, text: str
) -> None:
    fresh = make_server()
    postgres.create_database("enc", encoding=encoding, lc_collate="C", lc_ctype="C")
    with postgres.connect("enc", client_encoding="UTF8") as connection:
        connection.execute("CREATE TABLE t (v text)")
        connection.execute("INSERT INTO t VALUES (%s)", (text,))
    source = back_up(postgres, "enc", work)
    restorer = PostgresRestorer()
    restored = restorer.restore(source, sandbox(fresh), RestoreOptions(), work)
    same(
        source.record.backup.fingerprint,
        restorer.fingerprint(source.record, restored.target, work),
    )
    assert rows(fresh, "enc", b"SHOW server_encoding") == [(encoding,)]


def test_a_locale_that_the_sandbox_lacks_is_replaced_and_told(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    details = {**source.record.backup.details, "collate": "xx_XX.UTF-8", "ctype": "xx_XX.UTF-8"}
    source._set.record = replace(
        source.record, backup=replace(source.record.backup, details=details)
    )
    restored = PostgresRestorer().restore(source, sandbox(other), RestoreOptions(), work)
    assert any("xx_XX.UTF-8 is not on this server" in note for note in restored.notes)


# ── what hinders a restore ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_cut_dump_is_judged_bad(
    other: PostgresServer, work: Work, source: MemorySource, share: float
) -> None:
    whole = source.data("database")
    source.damage("database", whole[: int(len(whole) * share)])
    with pytest.raises(JudgedBad):
        PostgresRestorer().restore(source, sandbox(other), RestoreOptions(), work)


def test_a_row_that_the_server_refuses_is_judged_bad(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    whole = source.data("database")
    assert whole.count(b"2026-05-05") == 1
    source.damage("database", whole.replace(b"2026-05-05", b"2026-55-05"))
    with pytest.raises(JudgedBad, match="date/time field value out of range"):
        PostgresRestorer().restore(source, sandbox(other), RestoreOptions(), work)


def test_a_server_that_is_away_says_nothing_about_the_backup(
    make_server: MakeServer, work: Work, source: MemorySource
) -> None:
    server = make_server()
    server.stop()
    with pytest.raises(Unreachable):
        PostgresRestorer().restore(source, sandbox(server), RestoreOptions(), work)


def test_an_older_server_is_refused_before_anything_is_done(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    backup = source.record.backup
    newer = replace(
        backup,
        server=ServerFacts("PostgreSQL", "19.1"),
        needs=(Need("server", "19", "dumped from PostgreSQL 19.1"),),
    )
    source._set.record = replace(source.record, backup=newer)
    before = names(other)
    with pytest.raises(Refused, match=r"PostgreSQL 19\.1 .* older PostgreSQL 18"):
        PostgresRestorer().restore(source, place(other, "fresh"), RestoreOptions(), work)
    assert names(other) == before


def test_assertions_are_read_only_and_three_valued(postgres: PostgresServer, work: Work) -> None:
    postgres.create_database("asked")
    with postgres.connect("asked") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    results = PostgresRestorer().check_assertions(
        place(postgres, "asked"),
        (
            "select count(*) = 1 from t;",
            "select count(*) > 1 from t",
            "select n from t",
            "select true from t where false",
            "select null::bool",
            "insert into t values (2) returning true",
            "select true; select true",
            "selec",
        ),
        work,
    )
    assert [result.held for result in results] == [True, False, *[None] * 6]
    assert "read-only" in results[5].answer
    assert rows(postgres, "asked", b"SELECT count(*) FROM t") == [(1,)]
