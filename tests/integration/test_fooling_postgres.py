"""Attempts to fool the verdict on real servers: good backups blamed, bad ones praised."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from backup_lib.model import ProofLevel, Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres import restorer
from backup_lib.stores.postgres.connection import value
from backup_lib.stores.postgres.content.sequences import Next, read_sequences
from backup_lib.stores.postgres.content.session import Connect
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.work import Work
from restoreproof.errors import JudgedBad, Unreachable
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import MakeServer, PostgresServer, caught_up, standby_of
from tests.harness.restores import back_up, compared


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture(scope="module")
def other(make_module_server: MakeServer) -> PostgresServer:
    """The server that is restored into; event triggers are off as in a sandbox."""
    return make_module_server(event_triggers="off")


def restored(source: MemorySource, other: PostgresServer, work: Work) -> Target:
    target = Target("postgres", other.params(), disposable=True)
    options = RestoreOptions(globals=True)
    return PostgresRestorer().restore(source, target, options, work).target


def assert_proven(source: MemorySource, other: PostgresServer, work: Work) -> None:
    comparison = compared(source.record, restored(source, other, work), work)
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT


def _good_databases() -> dict[str, str]:
    text = Path(__file__, "../../fixtures/postgres_good_databases.sql").resolve().read_text()
    blocks = text.split("\n--- ")[1:]
    return {name: body for name, _, body in (block.partition("\n") for block in blocks)}


GOOD = _good_databases()
OF_THEIR_OWN = [name for name, body in GOOD.items() if "{db}" in body]


@pytest.mark.parametrize("bytes_worth_several_readers", [0, 1 << 30])
def test_good_content_of_every_kind_is_proven(
    bytes_worth_several_readers: int,
    postgres: PostgresServer,
    other: PostgresServer,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restorer, "_WORTH_PARALLEL", bytes_worth_several_readers)
    postgres.create_database("fool")
    with postgres.connect("fool", client_encoding="UTF8") as connection:
        for name, statements in GOOD.items():
            if name not in OF_THEIR_OWN:
                schema = sql.Identifier(name)
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
                connection.execute(sql.SQL("SET search_path = {}, public").format(schema))
                connection.execute(statements.encode())
    assert_proven(back_up(postgres, "fool", work), other, work)


@pytest.mark.parametrize("name", OF_THEIR_OWN)
def test_a_database_with_settings_of_its_own_is_proven(
    name: str, postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("fool")
    with postgres.connect("fool", client_encoding="UTF8") as connection:
        connection.execute(GOOD[name].replace("{db}", "fool").encode())
    assert_proven(back_up(postgres, "fool", work), other, work)


ALTERED = {
    "a digit more": ("numbers", "UPDATE {t} SET n = 1.00 WHERE id = 1"),
    "minus zero": ("numbers", "UPDATE {t} SET f = '-0' WHERE id = 1"),
    "last bit of a float": ("numbers", "UPDATE {t} SET f = 0.30000000000000004 WHERE id = 2"),
    "hours for a day": ("numbers", "UPDATE {t} SET i = '24 hours' WHERE id = 1"),
    "same moment, other zone": ("numbers", "UPDATE {t} SET z = '11:00+01' WHERE id = 1"),
    "blanks at the end": ("texts", "UPDATE {t} SET c = c || ' ' WHERE id = 1"),
    "padding of char(n)": ("texts", "ALTER TABLE {t} ALTER p TYPE char(9)"),
    "case of citext": ("texts", "UPDATE {t} SET x = 'ABC' WHERE id = 1"),
    "composed letter": ("texts", "UPDATE {t} SET c = U&'e\\0301' WHERE id = 2"),
    "empty for null": ("texts", "UPDATE {t} SET c = '' WHERE id = 3"),
    "null for empty": ("texts", "UPDATE {t} SET c = NULL WHERE id = 4"),
    "lower bound of an array": ("arrays", "UPDATE {t} SET a = '[2:3]={1,2}' WHERE id = 1"),
    "null in an array": ("arrays", "UPDATE {t} SET s = '{\"NULL\"}' WHERE id = 1"),
    "null row": ("arrays", "UPDATE {t} SET r = ROW(NULL, NULL)::pair WHERE id = 2"),
    "empty range": ("arrays", "UPDATE {t} SET g = '[1,1)' WHERE id = 2"),
    "spaces in json": ("arrays", "UPDATE {t} SET j = '{\"a\": 1}' WHERE id = 1"),
    "scale in jsonb": ("arrays", "UPDATE {t} SET b = '[1.0]' WHERE id = 1"),
    "label of an enum": ("arrays", "UPDATE {t} SET e = 'off' WHERE id = 1"),
    "minus one for 2^32 - 1": ("numbers", "UPDATE {t} SET l = 4294967295 WHERE l = -1"),
    "values of two rows": ("numbers", "UPDATE {t} SET l = 3 - l WHERE l IN (1, 2)"),
    "values of two columns": ("pairs", "UPDATE {t} SET a = b, b = a"),
    "names of two columns": (
        "pairs",
        "ALTER TABLE {t} RENAME a TO c; ALTER TABLE {t} RENAME b TO a",
    ),
    "one of two equal rows for another's": (
        "doubles",
        "UPDATE {t} SET n = 2 WHERE ctid = (SELECT min(ctid) FROM {t} WHERE n = 1)",
    ),
    "a row without columns": ("nothing", "INSERT INTO {t} DEFAULT VALUES"),
    "a row of a child in its parent": (
        "parent",
        "INSERT INTO parent SELECT a FROM child; DELETE FROM child",
    ),
    "rows of two tables": (
        "doubles",
        "ALTER TABLE doubles RENAME TO x; ALTER TABLE singles RENAME TO doubles",
    ),
    "a row in another partition": ("low", "DELETE FROM low; INSERT INTO high VALUES (11)"),
    "a byte far in a large value": (
        "large",
        "UPDATE {t} SET v = overlay(v placing 'x' from 150000)",
    ),
    "a byte of a large object": ("large objects", "SELECT lo_put(4711, 2000000, 'x')"),
    "the end of a large object": (
        "large objects",
        "SELECT lo_truncate(lo_open(4711, 131072), 2000000)",
    ),
    "a large object more": ("large objects", "SELECT lo_create(4712)"),
    "a sequence": ("counted", "SELECT setval('counted', 4)"),
    "a sequence's first use": ("unused", "SELECT nextval('unused')"),
    "a table more": ("extra", "CREATE TABLE extra ()"),
    "a table less": ("doubles", "DROP TABLE {t}"),
    "a row less": ("numbers", "DELETE FROM {t} WHERE id = 2"),
}
"""What is done to the restored copy, and what must be named as different."""

CONTENT = """
CREATE EXTENSION citext;
CREATE TYPE pair AS (a int, b text); CREATE TYPE state AS ENUM ('on', 'off');
CREATE TABLE numbers (id int, n numeric, f float8, i interval, z timetz, l int8);
INSERT INTO numbers VALUES (1, 1.0, 0, '1 day', '12:00+02', -1), (2, 'NaN', 0.3, '0', NULL, 1),
    (3, NULL, NULL, NULL, NULL, 2);
CREATE TABLE texts (id int, c text, p char(8), x citext);
INSERT INTO texts VALUES (1, 'a', 'a', 'abc'), (2, 'é', '', ''), (3, NULL, '', ''), (4, '', '', '');
CREATE TABLE arrays (id int, a int[], s text[], r pair, g int4range, j json, b jsonb, e state);
INSERT INTO arrays VALUES (1, '{1,2}', '{NULL}', NULL, '(,)', '{"a":1}', '[1.00]', 'on'),
    (2, '{}', '{}', NULL, '[1,2)', NULL, NULL, NULL);
CREATE TABLE pairs AS SELECT 1 AS a, 2 AS b;
CREATE TABLE doubles AS SELECT unnest('{1,1,2,2}'::int[]) AS n;
CREATE TABLE singles AS SELECT unnest('{1,1,1,2}'::int[]) AS n;
CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE parent (a int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1);
CREATE TABLE whole (n int) PARTITION BY RANGE (n);
CREATE TABLE low PARTITION OF whole FOR VALUES FROM (0) TO (10);
CREATE TABLE high PARTITION OF whole FOR VALUES FROM (10) TO (20);
INSERT INTO whole VALUES (1);
CREATE TABLE large AS SELECT repeat('large', 60000) AS v;
SELECT lo_from_bytea(4711, decode(repeat('01', 3000000), 'hex'));
CREATE SEQUENCE counted; SELECT setval('counted', 5); CREATE SEQUENCE unused;
"""


@pytest.fixture(scope="module")
def pristine(
    make_module_server: MakeServer, other: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> MemorySource:
    """A backup whose restored copy lies on ``other`` under the name ``pristine``."""
    server = make_module_server()
    server.create_database("pristine")
    with server.connect("pristine", client_encoding="UTF8") as connection:
        connection.execute(CONTENT.encode())
    work = Work(scratch=tmp_path_factory.mktemp("scratch"), jobs=2)
    source = back_up(server, "pristine", work)
    assert_proven(source, other, work)
    return source


@pytest.mark.parametrize("name", ALTERED)
def test_whatever_is_altered_in_the_copy_is_named(
    name: str, pristine: MemorySource, other: PostgresServer, work: Work
) -> None:
    table, statement = ALTERED[name]
    other.create_database("altered", template="pristine")
    try:
        with other.connect("altered", client_encoding="UTF8") as connection:
            connection.execute(statement.replace("{t}", table).encode())
        copy = Target("postgres", other.params("altered"), disposable=True)
        comparison = compared(pristine.record, copy, work)
    finally:
        other.drop_database("altered")
    assert comparison.level is ProofLevel.NONE
    assert table in {
        difference.name.removeprefix("public.") for difference in comparison.differences
    }


def test_what_a_database_is_called_and_told_is_not_taken_for_commands(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("fool")
    remark = """it's "told"\n\\connect postgres\n-- Name: x; Type: ACL; Schema: -; Owner: y
CREATE TABLE public.injected ();\n\\"""
    with postgres.connect("fool") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        told = sql.Literal(remark)
        connection.execute(sql.SQL("COMMENT ON DATABASE fool IS {}").format(told))
        connection.execute(sql.SQL("ALTER DATABASE fool SET my.remark = {}").format(told))
    assert_proven(back_up(postgres, "fool", work), other, work)
    query = (
        "SELECT shobj_description(oid, 'pg_database'), current_setting('my.remark')"
        " FROM pg_database WHERE datname = 'fool'"
    )
    with other.connect("fool") as connection:
        assert connection.execute(query).fetchone() == (remark, remark)


WRITING = """
CREATE TABLE log (id serial, t text);
CREATE FUNCTION noted(text) RETURNS text LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.log (t) VALUES ($1); RETURN $1; END';
CREATE VIEW between AS SELECT noted('seen') AS t;
CREATE MATERIALIZED VIEW "a writing one" AS SELECT * FROM between;
CREATE MATERIALIZED VIEW "after it" AS SELECT * FROM "a writing one";
CREATE FUNCTION shouted(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
CREATE MATERIALIZED VIEW zeroth AS SELECT shouted('read') AS t;
CREATE MATERIALIZED VIEW harmless AS SELECT * FROM zeroth;
CREATE MATERIALIZED VIEW untouched AS SELECT 1 AS n WITH NO DATA;
GRANT SELECT ON "a writing one" TO pg_monitor;
"""


def test_a_materialized_view_that_writes_does_not_make_its_backup_a_bad_one(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("fool")
    with postgres.connect("fool") as connection:
        connection.execute(WRITING)
    source = back_up(postgres, "fool", work)
    comparison = compared(source.record, restored(source, other, work), work)
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT
    empty = {gap.name for gap in comparison.unproven if "left empty" in gap.reason}
    assert empty == {'public."a writing one"', 'public."after it"'}
    with other.connect("fool") as connection:
        assert connection.execute("SELECT t FROM harmless").fetchall() == [("READ",)]
        assert connection.execute("SELECT count(*) FROM log").fetchone() == (1,)


def test_a_materialized_view_that_cannot_be_computed_is_found_all_the_same(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("fool")
    with postgres.connect("fool") as connection:
        connection.execute(
            """
            CREATE TABLE t AS SELECT 1 AS n;
            CREATE FUNCTION f() RETURNS int LANGUAGE sql
                AS $$ SELECT 1 / coalesce(current_setting('my.session', true)::int, 0) $$;
            SET my.session = 1;
            CREATE MATERIALIZED VIEW m AS SELECT f()
            """
        )
    source = back_up(postgres, "fool", work)
    with pytest.raises(JudgedBad, match=r"division by zero \(REFRESH MATERIALIZED"):
        restored(source, other, work)


# ── while the backup is made ────────────────────────────────────────────────────────────────────

MEANWHILE = {
    "filled anew": "TRUNCATE orders; INSERT INTO orders SELECT generate_series(1, 1000)",
    "rewritten": "ALTER TABLE orders ALTER n TYPE bigint",
    "exchanged": "CREATE TABLE fresh AS SELECT n FROM orders; "
    "ALTER TABLE orders RENAME TO old; ALTER TABLE fresh RENAME TO orders",
}


def between_snapshot_and_dump(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[], object], after: Callable[[], object]
) -> None:
    """Do something after the snapshot was taken, and again when the dump is done."""
    todo = [before, after]

    def read(connect: Connect) -> Mapping[str, Next]:
        step = todo.pop(0)
        if step is after:
            step()
            return read_sequences(connect)
        read = read_sequences(connect)
        step()
        return read

    monkeypatch.setattr("backup_lib.stores.postgres.content.fingerprint.read_sequences", read)


@pytest.mark.parametrize("name", MEANWHILE)
def test_a_table_that_the_snapshot_does_not_see_rightly_is_not_backed_up_as_empty(
    name: str, postgres: PostgresServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.create_database("fool")
    with postgres.connect("fool") as connection:
        connection.execute("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS n")

        def meanwhile() -> None:
            with connection.transaction():
                connection.execute(MEANWHILE[name].encode())

        between_snapshot_and_dump(monkeypatch, meanwhile, lambda: None)
        with pytest.raises(Unreachable, match=r"public\.orders was emptied, rewritten"):
            back_up(postgres, "fool", work)


def test_ordinary_work_meanwhile_hinders_nothing(
    postgres: PostgresServer, other: PostgresServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.create_database("fool")
    with postgres.connect("fool") as connection:
        connection.execute("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS n")

        def meanwhile() -> None:
            connection.execute("UPDATE orders SET n = -n WHERE n % 2 = 0")
            connection.execute("DELETE FROM orders WHERE n > 900; INSERT INTO orders VALUES (7)")
            connection.execute("CREATE INDEX ON orders (n); ANALYZE orders")
            connection.execute("CREATE TABLE later AS SELECT 1 AS n; TRUNCATE later")

        between_snapshot_and_dump(monkeypatch, meanwhile, lambda: None)
        source = back_up(postgres, "fool", work)
    assert source.record.backup.fingerprint is not None
    items = source.record.backup.fingerprint.items
    assert {i.name: i.count for i in items if i.kind == "table"} == {"public.orders": 1000}
    assert_proven(source, other, work)


def test_a_sequence_that_begins_anew_meanwhile_is_not_proven_and_blames_nobody(
    postgres: PostgresServer, other: PostgresServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.create_database("fool")
    with postgres.connect("fool") as connection:
        connection.execute("CREATE SEQUENCE round MAXVALUE 100 CYCLE; SELECT setval('round', 97)")
        connection.execute("CREATE SEQUENCE down INCREMENT -2; CREATE SEQUENCE up CACHE 20")
        connection.execute("SELECT nextval('down')")

        def use() -> None:
            connection.execute(
                "SELECT nextval('round'), nextval('down'), nextval('up') FROM generate_series(1, 3)"
            )

        between_snapshot_and_dump(monkeypatch, use, use)
        source = back_up(postgres, "fool", work)
    comparison = compared(source.record, restored(source, other, work), work)
    assert comparison.differences == ()
    assert comparison.proven_share == 1
    assert [gap.name for gap in comparison.unproven] == ["public.round"]


# ── replicas ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def replica(make_server: MakeServer) -> tuple[PostgresServer, PostgresServer]:
    """A primary and its standby."""
    primary = make_server(wal_level="replica", max_wal_senders="4")
    return primary, standby_of(primary, make_server)


def test_what_a_standby_has_no_rows_of_is_not_held_against_its_backup(
    replica: tuple[PostgresServer, PostgresServer], other: PostgresServer, work: Work
) -> None:
    primary, standby = replica
    primary.create_database("orders")
    with primary.connect("orders") as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS n")
        connection.execute("CREATE UNLOGGED TABLE fleeting (id serial)")
        connection.execute("INSERT INTO fleeting DEFAULT VALUES")
    caught_up(primary, standby)
    source = back_up(standby, "orders", work)
    comparison = compared(source.record, restored(source, other, work), work)
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT
    unproven = {gap.name for gap in comparison.unproven}
    assert unproven == {"public.fleeting", "public.fleeting_id_seq"}


def test_a_standby_that_is_cut_off_is_as_old_as_what_it_applied_last(
    replica: tuple[PostgresServer, PostgresServer], work: Work
) -> None:
    primary, standby = replica
    primary.create_database("orders")
    caught_up(primary, standby)
    with standby.connect() as connection:
        begun = value(connection, "SELECT clock_timestamp()")
        assert isinstance(begun, datetime)
        assert back_up(standby, "orders", work).record.backup.moment > begun
        primary.stop()
        while value(connection, "SELECT count(*) FROM pg_stat_wal_receiver WHERE pid IS NOT NULL"):
            time.sleep(0.05)
    assert back_up(standby, "orders", work).record.backup.moment < begun


# ── who owns and who grants ─────────────────────────────────────────────────────────────────────


def test_grants_of_a_bootstrap_role_of_another_name_are_restored(
    make_server: MakeServer, other: PostgresServer, work: Work
) -> None:
    server = make_server()
    with server.connect() as connection:
        connection.execute("CREATE ROLE second SUPERUSER LOGIN")
    with psycopg.connect(server.dsn(user="second"), autocommit=True) as connection:
        connection.execute(
            """
            ALTER ROLE postgres RENAME TO "the app"; CREATE ROLE postgres SUPERUSER LOGIN;
            CREATE ROLE worker; CREATE ROLE helper; CREATE ROLE team;
            GRANT pg_monitor TO worker; GRANT team TO worker WITH ADMIN OPTION;
            SET ROLE worker; GRANT team TO helper; RESET ROLE;
            CREATE TABLE t AS SELECT 1 AS n; ALTER TABLE t OWNER TO team;
            """
        )
    assert_proven(back_up(server, "postgres", work), other, work)
    query = (
        b"SELECT roleid::regrole::text, member::regrole::text, grantor::regrole::text, admin_option"
        b" FROM pg_auth_members WHERE member::regrole::text IN ('worker', 'helper') ORDER BY 1, 2"
    )
    with other.connect() as connection:
        assert connection.execute(query).fetchall() == [
            ("pg_monitor", "worker", "postgres", False),
            ("team", "helper", "worker", False),
            ("team", "worker", "postgres", True),
        ]


def test_a_role_that_only_has_settings_in_the_database_is_there_without_globals(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("fool")
    with postgres.connect("fool") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n; CREATE ROLE settled")
        connection.execute("ALTER ROLE settled IN DATABASE fool SET work_mem = '8MB'")
    try:
        assert_proven(back_up(postgres, "fool", work, globals=False), other, work)
    finally:
        postgres.drop_database("fool")
        with postgres.connect() as connection:
            connection.execute("DROP ROLE settled")
