"""Restores into real PostgreSQL servers: equal content, strict errors, nothing lost."""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from backup_lib.model import Fingerprint, Need, ServerFacts, Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres import databases
from backup_lib.stores.postgres.catalog import Database
from backup_lib.stores.postgres.databases import administration, aside
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.source import PostgresSource
from backup_lib.work import Work
from restoreproof.errors import (
    JudgedBad,
    NoSpace,
    Refused,
    RestoreproofError,
    Unreachable,
    UsageError,
)
from tests.harness.forked import run_forked
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.postgres import MakeServer, PostgresServer

NASTY = ("-dash", 'with "quotes"', "with spaces", "ünïcödé ☃", "wild*card?", "a.b", "it's")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture(scope="module")
def other(make_module_server: MakeServer) -> PostgresServer:
    """The server that is restored into."""
    return make_module_server()


@pytest.fixture
def reader(other: PostgresServer) -> None:
    """The role that a policy of the source names; a restore without roles needs it there."""
    with other.connect() as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )


def back_up(server: PostgresServer, dbname: str, work: Work, **settings: object) -> MemorySource:
    given = {**server.params(dbname), **settings, "port": int(server.port)}
    source = PostgresSource("orders", PostgresSettings.model_validate(given), Path("/"))
    kept = MemorySet()
    return kept.finish(source.backup(kept.sink(), work))


def sandbox(server: PostgresServer) -> Target:
    return Target("postgres", server.params(), disposable=True)


def place(server: PostgresServer, dbname: str, **params: str) -> Target:
    return Target("postgres", {**server.params(dbname), **params})


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


@pytest.fixture(scope="module")
def shop(make_module_server: MakeServer) -> PostgresServer:
    """A server with a database of a bit of everything, owned and granted."""
    server = make_module_server()
    server.create_database("shop")
    with server.connect("shop") as connection:
        for role in ("clerk", "reader"):
            connection.execute(f"CREATE ROLE {role}")
        connection.execute(
            """
            ALTER DATABASE shop OWNER TO clerk;
            ALTER DATABASE shop SET work_mem = '5MB';
            COMMENT ON DATABASE shop IS 'the shop';
            CREATE SCHEMA "odd schema";
            CREATE TYPE mood AS ENUM ('good', 'bad');
            CREATE TABLE customers (id serial PRIMARY KEY, name text UNIQUE, mood mood);
            CREATE TABLE orders (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                customer int REFERENCES customers, total numeric DEFAULT 1.50);
            CREATE INDEX orders_by_customer ON orders (customer);
            CREATE TABLE events (at date, what text) PARTITION BY RANGE (at);
            CREATE TABLE events_26 PARTITION OF events
                FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
            CREATE VIEW totals AS SELECT customer, sum(total) FROM orders GROUP BY 1;
            CREATE MATERIALIZED VIEW best AS SELECT max(total) AS m FROM orders;
            INSERT INTO customers (name, mood) SELECT 'c' || n, 'good' FROM generate_series(1,50) n;
            INSERT INTO orders (customer) SELECT n % 50 + 1 FROM generate_series(1, 500) n;
            INSERT INTO events VALUES ('2026-05-05', 'born');
            ALTER TABLE orders OWNER TO clerk;
            GRANT SELECT ON orders TO reader;
            ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
            CREATE POLICY mine ON orders TO reader USING (customer = 1);
            SELECT lo_from_bytea(0, 'large object');
            CREATE EXTENSION hstore;
            """
        )
        for name in NASTY:
            quoted = '"' + name.replace('"', '""') + '"'
            connection.execute(f"CREATE TABLE {quoted} (n int PRIMARY KEY, t text)".encode())
            connection.execute(f"INSERT INTO {quoted} VALUES (1, 'x')".encode())
        connection.execute('CREATE TABLE "odd schema".orders AS SELECT 1 AS n')
    return server


@pytest.fixture(scope="module")
def whole(shop: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> MemorySource:
    return back_up(shop, "shop", Work(scratch=tmp_path_factory.mktemp("scratch"), jobs=2))


@pytest.fixture
def source(whole: MemorySource) -> MemorySource:
    """A backup of the shop, which a test may damage."""
    return copy.deepcopy(whole)


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
    postgres: PostgresServer, other: PostgresServer, work: Work, encoding: str, text: str
) -> None:
    postgres.create_database("enc", encoding=encoding, lc_collate="C", lc_ctype="C")
    with postgres.connect("enc", client_encoding="UTF8") as connection:
        connection.execute("CREATE TABLE t (v text)")
        connection.execute("INSERT INTO t VALUES (%s)", (text,))
    source = back_up(postgres, "enc", work)
    restorer = PostgresRestorer()
    restored = restorer.restore(source, sandbox(other), RestoreOptions(), work)
    same(
        source.record.backup.fingerprint,
        restorer.fingerprint(source.record, restored.target, work),
    )
    assert rows(other, "enc", b"SHOW server_encoding") == [(encoding,)]


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


# ── onto a server that is kept ──────────────────────────────────────────────────────────────────


def test_a_missing_database_is_made(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    options = RestoreOptions(globals=True)
    restored = PostgresRestorer().restore(source, place(other, "made here"), options, work)
    other.databases.append("made here")
    assert rows(other, "made here", b"SELECT count(*) FROM orders") == [(500,)]
    assert restored.target.params["dbname"] == "made here"
    assert any("left as they are: postgres" in note for note in restored.notes) or any(
        "left as they are" in note for note in restored.notes
    )
    assert not [name for name in names(other) if name.startswith("restoreproof")]


def test_data_is_not_overwritten_without_being_told_to(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    other.create_database("taken")
    with other.connect("taken") as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS n")
    before = names(other)
    with pytest.raises(Refused, match=r"taken on .* holds data") as caught:
        PostgresRestorer().restore(source, place(other, "taken"), RestoreOptions(), work)
    assert "--overwrite" in caught.value.hint
    assert rows(other, "taken", b"SELECT n FROM precious") == [(1,)]
    assert names(other) == before
    other.drop_database("taken")


@pytest.mark.usefixtures("reader")
def test_overwrite_replaces_the_whole_database_at_the_end(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    other.create_database("replaced")
    with other.connect("replaced") as connection:
        connection.execute("CREATE TABLE obsolete AS SELECT 1 AS n")
        options = RestoreOptions(overwrite=True)
        # a session that is connected does not hinder it
        PostgresRestorer().restore(source, place(other, "replaced"), options, work)
    found = rows(other, "replaced", b"SELECT to_regclass('obsolete'), count(*) FROM orders")
    assert found == [(None, 500)]
    assert not [name for name in names(other) if name.startswith("restoreproof")]
    other.drop_database("replaced")


def test_a_corrupt_dump_leaves_the_target_as_it_was(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    source.damage("database", source.data("database").replace(b"2026-05-05", b"2026-55-05"))
    other.create_database("kept")
    with other.connect("kept") as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS n")
    before = names(other)
    with pytest.raises(JudgedBad):
        PostgresRestorer().restore(
            source, place(other, "kept"), RestoreOptions(overwrite=True), work
        )
    assert rows(other, "kept", b"SELECT n FROM precious") == [(1,)]
    assert names(other) == before
    other.drop_database("kept")


def fill(server: PostgresServer, dbname: str) -> None:
    with server.connect(dbname) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS n")


def test_a_database_that_somebody_fills_meanwhile_is_not_replaced_unasked(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    other.create_database("filled")
    before = names(other)
    options = RestoreOptions(check=lambda _place: fill(other, "filled"))
    with pytest.raises(Refused, match=r"filled on .* was filled by somebody") as caught:
        PostgresRestorer().restore(source, place(other, "filled"), options, work)
    assert "--overwrite" in caught.value.hint
    assert rows(other, "filled", b"SELECT n FROM precious") == [(1,)]
    assert names(other) == before
    other.drop_database("filled")


def test_a_database_that_is_filled_at_the_last_moment_gets_its_name_back(
    other: PostgresServer, work: Work, source: MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.create_database("raced")
    before = names(other)
    end = databases.end_sessions
    ended: list[str] = []

    def fill_after(admin: psycopg.Connection, name: str) -> None:
        end(admin, name)
        ended.append(name)
        if ended == ["raced"] * 2:  # looked at already, renamed next
            fill(other, "raced")

    monkeypatch.setattr(databases, "end_sessions", fill_after)
    with pytest.raises(Refused, match=r"raced on .* was filled by somebody"):
        PostgresRestorer().restore(source, place(other, "raced"), RestoreOptions(), work)
    assert rows(other, "raced", b"SELECT n FROM precious") == [(1,)]
    assert names(other) == before
    other.drop_database("raced")


def test_what_was_filled_before_a_killed_restore_replaced_it_is_not_swept(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    for left in ("restoreproof_new_0000beef_empty", "restoreproof_new_0000bee0_empty"):
        other.create_database(left)
    fill(other, "restoreproof_new_0000beef_empty")
    options = RestoreOptions(database="kept apart")
    restored = PostgresRestorer().restore(source, place(other, "postgres"), options, work)
    other.databases.append("kept apart")
    assert "restoreproof_new_0000bee0_empty" not in names(other)
    assert rows(other, "restoreproof_new_0000beef_empty", b"SELECT n FROM precious") == [(1,)]
    assert any("_0000beef_empty was filled by somebody" in note for note in restored.notes)
    other.drop_database("restoreproof_new_0000beef_empty")


class _Kept(Exception):
    """What a check raises against the content."""


@pytest.mark.usefixtures("reader")
def test_what_is_replaced_is_there_until_the_new_content_was_checked(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    other.create_database("live")
    fill(other, "live")
    before = names(other)

    def refuse(where: Target) -> None:
        assert rows(other, where.params["dbname"], b"SELECT count(*) FROM orders") == [(500,)]
        raise _Kept

    target = place(other, "live")
    with pytest.raises(_Kept):
        PostgresRestorer().restore(
            source, target, RestoreOptions(overwrite=True, check=refuse), work
        )
    assert rows(other, "live", b"SELECT n FROM precious") == [(1,)]
    assert names(other) == before

    checked: list[Target] = []
    options = RestoreOptions(overwrite=True, check=checked.append)
    restored = PostgresRestorer().restore(source, target, options, work)
    assert restored.checked
    assert len(checked) == 1
    assert rows(other, "live", b"SELECT to_regclass('precious')") == [(None,)]
    other.drop_database("live")


def killed(*_arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("when", ["before the names change", "before the old one is dropped"])
def test_killed_at_its_end_a_restore_leaves_the_old_or_the_new_one_whole(
    other: PostgresServer, work: Work, source: MemorySource, when: str
) -> None:
    other.create_database("survivor")
    fill(other, "survivor")
    before = names(other)
    target = place(other, "survivor")

    def restore() -> None:
        check = killed if when == "before the names change" else None
        drop = databases.drop
        databases.drop = lambda admin, name: (killed if name.endswith("_old") else drop)(
            admin, name
        )
        PostgresRestorer().restore(
            source, target, RestoreOptions(overwrite=True, check=check), work
        )

    assert run_forked(restore) == -signal.SIGKILL
    (left,) = names(other) - before
    old, new = ("survivor", left) if when == "before the names change" else (left, "survivor")
    assert rows(other, old, b"SELECT n FROM precious") == [(1,)]
    assert rows(other, new, b"SELECT count(*) FROM orders") == [(500,)]

    restored = PostgresRestorer().restore(source, target, RestoreOptions(overwrite=True), work)
    assert f"left over from a restore that was killed, and removed: {left}" in restored.notes
    assert names(other) == before
    other.drop_database("survivor")


@pytest.mark.usefixtures("reader")
def test_settings_of_the_database_are_there_when_it_is_checked_and_named(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    with other.connect() as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE clerk; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
    seen: list[object] = []

    def look(where: Target) -> None:
        seen.extend(rows(other, where.params["dbname"], b"SHOW work_mem"))

    other.drop_database("shop")
    restored = PostgresRestorer().restore(
        source, place(other, "shop"), RestoreOptions(check=look), work
    )
    other.databases.append("shop")
    assert seen == [("5MB",)]
    assert restored.notes == ()
    query = b"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop'"
    assert rows(other, "shop", query) == [("the shop",)]
    assert rows(other, "shop", b"SHOW work_mem") == [("5MB",)]


def test_a_setting_of_the_database_that_the_server_refuses_is_told_and_no_reason_to_fail(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("set")
    with postgres.connect("set") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        connection.execute("ALTER DATABASE set SET lc_time = 'C'")
        connection.execute("ALTER DATABASE set SET work_mem = '5MB'")
        # as a machine with that locale would have it
        connection.execute("SET allow_system_table_mods = on")
        connection.execute(
            "UPDATE pg_db_role_setting SET setconfig = '{lc_time=xx_XX.utf8,work_mem=5MB}'"
            " WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'set')"
        )
    try:
        source = back_up(postgres, "set", work)
    finally:
        postgres.drop_database("set")
    other.create_database("set")
    fill(other, "set")
    options = RestoreOptions(overwrite=True)
    restored = PostgresRestorer().restore(source, place(other, "set"), options, work)
    assert any("of the database itself was not restored" in note for note in restored.notes)
    assert rows(other, "set", b"SELECT n FROM t") == [(1,)]
    assert rows(other, "set", b"SHOW work_mem") == [("5MB",)]
    other.drop_database("set")


def test_a_template_is_replaced_too_and_nothing_stays_aside(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("tmpl")
    with postgres.connect("tmpl") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        connection.execute("ALTER DATABASE tmpl IS_TEMPLATE true")
    source = back_up(postgres, "tmpl", work)
    with postgres.connect() as connection:
        connection.execute("ALTER DATABASE tmpl IS_TEMPLATE false")
    other.create_database("tmpl")
    fill(other, "tmpl")
    before = names(other)

    def refuse(_place: Target) -> None:
        raise _Kept

    for options in (RestoreOptions(overwrite=True, check=refuse), RestoreOptions(overwrite=True)):
        with contextlib.suppress(_Kept):
            PostgresRestorer().restore(source, place(other, "tmpl"), options, work)
        assert names(other) == before
    assert rows(other, "tmpl", b"SELECT n FROM t") == [(1,)]
    with other.connect() as connection:
        connection.execute("ALTER DATABASE tmpl IS_TEMPLATE false")
    other.drop_database("tmpl")


@pytest.mark.usefixtures("reader")
def test_a_server_that_ends_idle_sessions_does_not_end_ours(
    make_server: MakeServer, work: Work, source: MemorySource
) -> None:
    server = make_server()
    with server.connect() as connection:
        connection.execute("CREATE ROLE reader")
        connection.execute("ALTER SYSTEM SET idle_session_timeout = '200ms'")
        connection.execute("SELECT pg_reload_conf()")
    options = RestoreOptions(database="new", check=lambda _place: time.sleep(1))
    PostgresRestorer().restore(source, place(server, "postgres"), options, work)
    assert names(server) == {"postgres", "template0", "template1", "new"}


# ── roles, and databases that we may not make ───────────────────────────────────────────────────


def test_comments_of_several_lines_on_roles_that_exist_are_left_out_whole(
    make_server: MakeServer, other: PostgresServer, work: Work
) -> None:
    server = make_server()
    comment = "a chief\nALTER ROLE smuggled;\nCREATE ROLE another;\n-- it's\n"
    with server.connect() as connection:
        connection.execute("CREATE ROLE multi")
        for role in ("multi", "postgres"):
            quoted = comment.replace("'", "''")
            connection.execute(f"COMMENT ON ROLE {role} IS '{quoted}'".encode())
    server.create_database("commented")
    source = back_up(server, "commented", work)
    with other.connect() as connection:
        connection.execute("COMMENT ON ROLE postgres IS 'mine'")
    options = RestoreOptions(database="with_roles", globals=True)
    PostgresRestorer().restore(source, place(other, "postgres"), options, work)
    other.databases.append("with_roles")
    query = (
        b"SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles"
        b" WHERE rolname IN ('multi', 'postgres', 'smuggled') ORDER BY 1"
    )
    assert rows(other, "postgres", query) == [("multi", comment), ("postgres", "mine")]
    with other.connect() as connection:
        connection.execute("DROP ROLE multi")


@pytest.fixture
def lent(other: PostgresServer) -> Iterator[Target]:
    """An empty database of a role that may make none."""
    other.create_database("lent")
    with other.connect("lent") as connection:
        connection.execute("CREATE ROLE tenant LOGIN")
        connection.execute("ALTER DATABASE lent OWNER TO tenant")
    yield place(other, "lent", user="tenant")
    other.drop_database("lent")
    with other.connect() as connection:
        connection.execute("DROP ROLE tenant")


def test_a_role_that_may_make_no_database_fills_an_empty_one(
    postgres: PostgresServer, other: PostgresServer, work: Work, lent: Target
) -> None:
    postgres.create_database("simple")
    with postgres.connect("simple") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    source = back_up(postgres, "simple", work)
    restored = PostgresRestorer().restore(source, lent, RestoreOptions(), work)
    assert rows(other, "lent", b"SELECT n FROM t") == [(1,)]
    assert any("owners and grants were not restored" in note for note in restored.notes)
    with pytest.raises(Unreachable, match="may not make databases") as caught:
        PostgresRestorer().restore(source, lent, RestoreOptions(database="elsewhere"), work)
    assert "CREATEDB" in caught.value.hint


def test_a_failure_leaves_nothing_in_an_empty_database_that_is_filled_directly(
    postgres: PostgresServer, other: PostgresServer, work: Work, lent: Target
) -> None:
    postgres.create_database("halves")
    with postgres.connect("halves") as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS n")
        connection.execute("CREATE TABLE b AS SELECT date '2026-05-05' AS at")
    source = back_up(postgres, "halves", work)
    source.forge("database", source.data("database").replace(b"2026-05-05", b"2026-55-05"))
    with pytest.raises(JudgedBad, match="date/time field value out of range"):
        PostgresRestorer().restore(source, lent, RestoreOptions(), work)
    assert rows(other, "lent", b"SELECT to_regclass('a')") == [(None,)]


def test_an_error_that_is_tolerated_does_not_end_what_is_filled_directly(
    postgres: PostgresServer, other: PostgresServer, work: Work, lent: Target
) -> None:
    postgres.create_database("older")
    with postgres.connect("older") as connection:
        connection.execute("CREATE SCHEMA publix; CREATE TABLE publix.t AS SELECT 1 AS n")
    source = back_up(postgres, "older", work)
    # as older tools dump it
    source.forge("database", source.data("database").replace(b"publix", b"public"))
    restored = PostgresRestorer().restore(source, lent, RestoreOptions(), work)
    assert restored.tolerated == ('schema "public" already exists (CREATE SCHEMA public;)',)
    assert rows(other, "lent", b"SELECT n FROM t") == [(1,)]


def test_more_objects_than_a_transaction_has_locks_for_are_restored_one_by_one(
    make_server: MakeServer, postgres: PostgresServer, work: Work
) -> None:
    postgres.create_database("many")
    with postgres.connect("many") as connection:
        for n in range(1500):
            connection.execute(f"CREATE TABLE t{n} (n int)".encode())
    source = back_up(postgres, "many", work)
    server = make_server(max_connections="12", max_locks_per_transaction="10")
    server.create_database("lent")
    with server.connect("lent") as connection:
        connection.execute("CREATE ROLE tenant LOGIN")
        connection.execute("ALTER DATABASE lent OWNER TO tenant")
    target = place(server, "lent", user="tenant")
    PostgresRestorer().restore(source, target, RestoreOptions(), work)
    query = b"SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert rows(server, "lent", query) == [(1500,)]


def test_what_is_half_filled_for_lack_of_a_transaction_is_told(
    postgres: PostgresServer, work: Work, lent: Target
) -> None:
    postgres.create_database("older_half")
    with postgres.connect("older_half") as connection:
        connection.execute("CREATE SCHEMA publix")
        connection.execute("CREATE TABLE publix.t AS SELECT date '2026-05-05' AS at")
    source = back_up(postgres, "older_half", work)
    forged = source.data("database").replace(b"publix", b"public")
    source.forge("database", forged.replace(b"2026-05-05", b"2026-55-05"))
    with pytest.raises(JudgedBad) as caught:
        PostgresRestorer().restore(source, lent, RestoreOptions(), work)
    assert "part of it is in lent" in caught.value.hint


@pytest.mark.usefixtures("reader")
def test_what_a_killed_restore_left_is_swept_and_one_at_work_is_not(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    like = Database.from_details({})
    other.create_database("restoreproof_new_0000beef")
    with (
        administration(place(other, "swept"), "swept") as admin,
        aside(admin, like) as at_work,
    ):
        restored = PostgresRestorer().restore(source, place(other, "swept"), RestoreOptions(), work)
        assert "restoreproof_new_0000beef" not in names(other)
        assert at_work in names(other)
    assert any("restoreproof_new_0000beef" in note for note in restored.notes)
    other.drop_database("swept")


def test_a_database_without_public_is_restored_without_it(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("bare")
    with postgres.connect("bare") as connection:
        connection.execute("CREATE SCHEMA mine; CREATE TABLE mine.t (); DROP SCHEMA public")
    backup = back_up(postgres, "bare", work)
    for target in (sandbox(other), place(other, "bare again")):
        restored = PostgresRestorer().restore(backup, target, RestoreOptions(), work)
        dbname = restored.target.params["dbname"]
        assert rows(other, dbname, b"SELECT to_regnamespace('public')") == [(None,)]
        other.drop_database(dbname)


def test_no_room_to_stage_is_told_before_anything_is_done(
    other: PostgresServer, work: Work, source: MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_lib.stores.postgres.restore.fits", lambda *_: False)
    before = names(other)
    options = RestoreOptions(only=("customers",), database="part")
    with pytest.raises(NoSpace, match="has no room"):
        PostgresRestorer().restore(source, place(other, "part"), options, work)
    assert names(other) == before


# ── parts ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NASTY)
def test_one_table_is_restored_whatever_its_name(
    other: PostgresServer, work: Work, source: MemorySource, name: str
) -> None:
    options = RestoreOptions(only=(name,), database="part")
    PostgresRestorer().restore(source, place(other, "part"), options, work)
    query = b"SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
    assert rows(other, "part", query) == [(name,)]
    quoted = '"' + name.replace('"', '""') + '"'
    assert rows(other, "part", f"SELECT * FROM {quoted}".encode()) == [(1, "x")]
    other.drop_database("part")


@pytest.mark.usefixtures("reader")
def test_a_table_comes_with_what_belongs_to_it(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    options = RestoreOptions(only=("public.orders", "customers", "events"), database="part")
    PostgresRestorer().restore(source, place(other, "part"), options, work)
    relations = rows(
        other, "part", b"SELECT relname FROM pg_class WHERE oid >= 16384 AND relname !~ 'pg_toast'"
    )
    assert {name for (name,) in relations} == {
        "orders", "orders_id_seq", "orders_pkey", "orders_by_customer",
        "customers", "customers_id_seq", "customers_pkey", "customers_name_key",
        "events", "events_26",
    }  # fmt: skip
    counts = b"SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM events)"
    assert rows(other, "part", counts) == [(500, 1)]
    assert rows(other, "part", b"SELECT nextval('customers_id_seq')") == [(51,)]
    other.drop_database("part")


@pytest.mark.parametrize(
    ("name", "said"),
    [("orders", "several tables"), ("ordes", "there is no table ordes"), ("x" * 70, "no table")],
)
def test_a_name_that_does_not_fit_one_table_is_refused(
    other: PostgresServer, work: Work, source: MemorySource, name: str, said: str
) -> None:
    before = names(other)
    with pytest.raises(UsageError, match=said):
        PostgresRestorer().restore(source, place(other, "part"), RestoreOptions(only=(name,)), work)
    assert names(other) == before


def test_single_tables_go_nowhere_where_data_is(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    other.create_database("full")
    with other.connect("full") as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS n")
    for options in (
        RestoreOptions(only=("customers",)),
        RestoreOptions(only=("customers",), overwrite=True),
    ):
        with pytest.raises(RestoreproofError, match="single tables"):
            PostgresRestorer().restore(source, place(other, "full"), options, work)
    assert rows(other, "full", b"SELECT n FROM precious") == [(1,)]
    other.drop_database("full")


LOGGED = """
CREATE TABLE visits (at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO public.visits DEFAULT VALUES; END';
CREATE EVENT TRIGGER visited ON login EXECUTE FUNCTION note();
ALTER EVENT TRIGGER visited ENABLE ALWAYS;
"""


def test_whoever_writes_down_logins_does_not_write_down_ours(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("logged")
    with postgres.connect("logged") as connection:
        connection.execute(LOGGED)
    source = back_up(postgres, "logged", work)
    restorer = PostgresRestorer()
    try:
        done = restorer.restore(source, place(other, "logged"), RestoreOptions(), work)
        same(
            source.record.backup.fingerprint, restorer.fingerprint(source.record, done.target, work)
        )
        assert not [note for note in done.notes if "event trigger" in note]
    finally:
        other.drop_database("logged")


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
