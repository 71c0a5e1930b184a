"""Restores into real PostgreSQL servers: equal content, strict errors, nothing lost."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from backup_lib.model import Fingerprint, Need, ServerFacts, Target
from backup_lib.stores.base import RestoreOptions
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


def test_a_role_that_may_make_no_database_fills_an_empty_one(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("simple")
    with postgres.connect("simple") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    source = back_up(postgres, "simple", work)
    other.create_database("lent")
    with other.connect("lent") as connection:
        connection.execute("CREATE ROLE tenant LOGIN")
        connection.execute("ALTER DATABASE lent OWNER TO tenant")
    target = place(other, "lent", user="tenant")
    restored = PostgresRestorer().restore(source, target, RestoreOptions(), work)
    assert rows(other, "lent", b"SELECT n FROM t") == [(1,)]
    assert any("owners and grants were not restored" in note for note in restored.notes)
    with pytest.raises(Unreachable, match="may not make databases") as caught:
        PostgresRestorer().restore(source, target, RestoreOptions(database="elsewhere"), work)
    assert "CREATEDB" in caught.value.hint
    other.drop_database("lent")
    with other.connect() as connection:
        connection.execute("DROP ROLE tenant")


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
