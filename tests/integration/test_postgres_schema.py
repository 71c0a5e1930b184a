"""The schema as a part of the fingerprint: equal after a restore, and every alteration is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from backup_lib.comparison import compare
from backup_lib.model import Comparison, ProofLevel, Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres.content import ROWS_METHOD
from backup_lib.stores.postgres.content.schema import Schema, read_schema, steady
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.source import PostgresSource
from backup_lib.work import Work
from tests.harness.comparing import taken_at_source
from tests.harness.debian import server_programs
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.postgres import MakeServer, PostgresServer
from tests.harness.restores import compared
from tests.harness.rich_schema import DATABASE, NEWER, RICH, ROLES, SUBSCRIPTION
from tests.harness.schema_alterations import ALTERATIONS

SECRET = "planted-secret-4711"  # in rich_schema


def fill(server: PostgresServer, name: str, *statements: str) -> None:
    server.create_database(name)
    with server.connect(name, client_encoding="UTF8") as connection:
        for statement in statements:
            connection.execute(statement.replace("{database}", name).encode())


def back_up(server: PostgresServer, name: str, work: Work, **settings: object) -> MemorySource:
    given = {**server.params(name), "port": server.port, **settings}
    source = PostgresSource(name, PostgresSettings.model_validate(given), Path("/"))
    kept = MemorySet()
    return kept.finish(source.backup(kept.sink(), work), name=name)


def differences(comparison: Comparison) -> set[str]:
    return {f"{found.kind} {found.name}" for found in comparison.differences}


def drop_subscriptions(server: PostgresServer, name: str) -> None:
    """A database with a subscription cannot be dropped."""
    with server.connect(name) as connection:
        for (found,) in connection.execute(
            "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
            " WHERE d.datname = current_database()"
        ).fetchall():
            identifier = sql.Identifier(found)
            for end in ("DISABLE", "SET (slot_name = NONE)"):
                connection.execute(
                    sql.SQL("ALTER SUBSCRIPTION {} {}").format(identifier, sql.SQL(end))
                )
            connection.execute(sql.SQL("DROP SUBSCRIPTION {}").format(identifier))


@dataclass(frozen=True)
class Pair:
    """A backup of the rich database, and the server that has its restored copy."""

    source: MemorySource
    server: PostgresServer
    origin: PostgresServer

    @property
    def copy(self) -> Target:
        return Target("postgres", self.server.params("rich"), disposable=True)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture(scope="module")
def pair(
    make_module_server: MakeServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    work = Work(scratch=tmp_path_factory.mktemp("scratch"), stall_timeout=60, jobs=2)
    origin, server = make_module_server(), make_module_server()
    with origin.connect() as connection:
        connection.execute(ROLES)
        connection.execute("CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader")
    fill(origin, "rich", DATABASE, RICH, SUBSCRIPTION, NEWER)
    source = back_up(origin, "rich", work)
    target = Target("postgres", server.params(), disposable=True)
    restored = PostgresRestorer().restore(source, target, RestoreOptions(), work)
    assert restored.tolerated == ()
    yield Pair(source, server, origin)
    drop_subscriptions(server, "rich")
    drop_subscriptions(origin, "rich")


# ── equal ───────────────────────────────────────────────────────────────────────────────────────


def test_everything_is_proven_equal_after_a_restore(pair: Pair, work: Work) -> None:
    comparison = compared(pair.source.record, pair.copy, work)
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT
    assert comparison.equal == len(taken_at_source(pair.source.record).items)
    assert taken_at_source(pair.source.record).method == "postgres/3"


def test_what_cannot_be_proven_is_named(pair: Pair, work: Work) -> None:
    unproven = {
        (gap.kind, gap.name) for gap in compared(pair.source.record, pair.copy, work).unproven
    }
    assert unproven >= {
        ("user mapping options", "clerk on server far"),
        ("subscription", "sub"),
        ("order of columns", "public.strays"),
    }
    assert "schema" not in {kind for kind, _ in unproven}


def test_no_secret_and_no_digest_of_one_is_kept(pair: Pair, work: Work) -> None:
    taken = taken_at_source(pair.source.record)
    assert SECRET not in repr(taken)
    with pair.server.connect("rich") as connection:
        connection.execute("ALTER USER MAPPING FOR clerk SERVER far OPTIONS (SET password 'other')")
        connection.execute("ALTER SUBSCRIPTION sub CONNECTION 'host=nowhere password=other'")
        try:
            assert compared(pair.source.record, pair.copy, work).differences == ()
        finally:
            connection.execute(
                b"ALTER USER MAPPING FOR clerk SERVER far OPTIONS (SET password '%s')"
                % SECRET.encode()
            )


def test_a_role_that_may_only_read_sees_the_same_schema(pair: Pair, work: Work) -> None:
    def schema_as(user: str) -> Schema:
        return read_schema(lambda: pair.origin.connect("rich", user=user), snapshot=None, work=work)

    reader, superuser = schema_as("reader"), schema_as("postgres")
    missing = {item.kind for item in set(superuser.items) - set(reader.items)}
    # pg_dump leaves it out for such a role, and so does the schema
    assert missing == {"subscription access", "subscription definition"}
    assert set(reader.items) <= set(superuser.items)
    gap = next(gap for gap in reader.not_covered if gap.kind == "subscription")
    assert "superuser" in gap.reason


def test_a_manifest_without_definitions_is_compared_by_its_rows(pair: Pair, work: Work) -> None:
    taken = taken_at_source(pair.source.record)
    rows = replace(
        taken,
        method=ROWS_METHOD,
        items=tuple(item for item in taken.items if item.count is not None or item.low is not None),
    )
    record = pair.source.record
    older = replace(record, backup=replace(record.backup, fingerprint=rows))
    found = PostgresRestorer().fingerprint(older, pair.copy, work)
    assert compare(rows, found, datetime.now(UTC)).level is ProofLevel.EXACT


def test_a_manifest_of_the_older_method_is_compared_without_what_came_later(
    pair: Pair, work: Work
) -> None:
    taken = taken_at_source(pair.source.record)
    schema = read_schema(
        lambda: pair.origin.connect("rich"), snapshot=None, work=work, with_later=False
    )
    rows = tuple(item for item in taken.items if item.count is not None or item.low is not None)
    older = replace(taken, method="postgres/2", items=(*rows, *schema.items))
    assert set(older.items) != set(taken.items)
    record = pair.source.record
    record = replace(record, backup=replace(record.backup, fingerprint=older))
    found = PostgresRestorer().fingerprint(record, pair.copy, work)
    comparison = compare(older, found, datetime.now(UTC))
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_other_encodings_are_proven_too(
    make_server: MakeServer, postgres: PostgresServer, work: Work, encoding: str
) -> None:
    postgres.create_database("enc", encoding=encoding, lc_collate="C", lc_ctype="C")
    text = b"\xe4\xf6" if encoding == "SQL_ASCII" else "äö".encode()
    client = "SQL_ASCII" if encoding == "SQL_ASCII" else "UTF8"
    with postgres.connect("enc", client_encoding=client) as connection:
        connection.execute(
            b'CREATE TABLE "%s" (n int DEFAULT 1); COMMENT ON TABLE "%s" IS \'%s\''
            % (
                text,
                text,
                text,
            )
        )
    source = back_up(postgres, "enc", work)
    target = Target("postgres", make_server().params(), disposable=True)
    restored = PostgresRestorer().restore(source, target, RestoreOptions(), work)
    comparison = compared(source.record, restored.target, work)
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT
    assert any(item.kind == "table comment" for item in taken_at_source(source.record).items)


# ── every alteration is found, and nothing else ─────────────────────────────────────────────────


@pytest.fixture
def altered(pair: Pair) -> Iterator[psycopg.Connection]:
    """A further copy of the restored database, which a test may alter."""
    server = pair.server
    with server.connect() as connection:
        connection.execute("CREATE DATABASE altered TEMPLATE rich STRATEGY file_copy")
    with server.connect("altered") as connection:
        # what a template does not hand on
        connection.execute(DATABASE.replace("{database}", "altered").encode())
        connection.execute(SUBSCRIPTION.encode())
        yield connection
    drop_subscriptions(server, "altered")
    server.drop_database("altered")


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_is_found_and_nothing_else(
    pair: Pair, altered: psycopg.Connection, work: Work, name: str
) -> None:
    statements, expected = ALTERATIONS[name]
    altered.execute(statements.replace("{database}", "altered").encode())
    target = Target("postgres", pair.server.params("altered"), disposable=True)
    assert differences(compared(pair.source.record, target, work)) == expected


# ── circumstances ───────────────────────────────────────────────────────────────────────────────


def test_what_a_server_counts_for_itself_in_a_columns_options_is_no_difference(
    postgres: PostgresServer, work: Work
) -> None:
    """As Debian's 17.12 does, whose own pg_dump leaves it out."""
    fill(postgres, "counted", "CREATE TABLE t (n int, m int)", "INSERT INTO t VALUES (1, 2)")
    with postgres.connect("counted") as connection:
        connection.execute("ALTER TABLE t ALTER n SET (n_distinct = 5)")
        source = back_up(postgres, "counted", work)
        connection.execute("SET allow_system_table_mods = on")
        connection.execute(
            "UPDATE pg_attribute SET attoptions = attoptions || '{pg_attver=3}'"
            " WHERE attrelid = 't'::regclass AND attnum > 0"
        )
    target = Target("postgres", postgres.params("counted"), disposable=True)
    assert differences(compared(source.record, target, work)) == set()


def test_what_changes_while_the_dump_runs_is_not_proven_and_no_difference(
    postgres: PostgresServer, work: Work
) -> None:
    fill(
        postgres,
        "moving",
        "CREATE VIEW kept AS SELECT 1 AS n; CREATE VIEW replaced AS SELECT 1 AS n;"
        "CREATE FUNCTION moved(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )

    def read(*, missing_ok: bool) -> Schema:
        return read_schema(
            lambda: postgres.connect("moving"),
            snapshot=snapshot,
            work=work,
            missing_ok=missing_ok,
        )

    with postgres.connect("moving") as holder, postgres.connect("moving") as other:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        row = holder.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        snapshot = str(row[0])
        before = read(missing_ok=False)
        other.execute(
            "CREATE OR REPLACE VIEW replaced AS SELECT 2 AS n; DROP FUNCTION gone();"
            "CREATE OR REPLACE FUNCTION moved(a int DEFAULT 2) RETURNS int LANGUAGE sql"
            " AS 'SELECT 1';"
            "CREATE VIEW later AS SELECT 3; COMMENT ON VIEW kept IS 'seen by no snapshot'"
        )
        after = read(missing_ok=True)
        settled = steady(before, after)
        assert read(missing_ok=False).unread
    moved = {(gap.kind, gap.name) for gap in set(settled.not_covered) - set(before.not_covered)}
    assert moved == {
        ("function expressions", "public.moved(integer)"),
        ("function definition", "public.gone()"),
    }
    names = {item.name for item in settled.items}
    assert {"public.kept", "public.replaced"} <= names  # both seen through the snapshot
    assert "public.later" not in names


def test_a_table_under_alteration_leaves_the_schema_unproven(
    postgres: PostgresServer, work: Work
) -> None:
    fill(postgres, "held", "CREATE TABLE t (n int DEFAULT 1); CREATE INDEX i ON t ((n + 1))")
    with postgres.connect("held") as connection, connection.transaction():
        connection.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        schema = read_schema(
            lambda: postgres.connect("held"), snapshot=None, work=work, lock_timeout=0.2
        )
    assert "lock_timeout" in schema.unread
    assert schema.items == ()


def test_owners_that_a_kept_server_lacks_are_no_difference(
    pair: Pair, postgres: PostgresServer, work: Work
) -> None:
    fill(
        pair.origin,
        "owned",
        "CREATE TABLE t (n int); ALTER TABLE t OWNER TO clerk; GRANT SELECT ON t TO auditor;"
        "ALTER DATABASE owned SET work_mem = '5MB'",
    )
    source = back_up(pair.origin, "owned", work)
    kept = Target("postgres", postgres.params("arrived"))
    restored = PostgresRestorer().restore(source, kept, RestoreOptions(), work)
    comparison = compared(source.record, restored.target, work)
    with postgres.connect("arrived") as connection:
        connection.execute("ALTER TABLE t ALTER n SET DEFAULT 7")
    altered = compared(source.record, restored.target, work)
    postgres.drop_database("arrived")
    pair.origin.drop_database("owned")
    assert any("owners and grants were not restored" in note for note in restored.notes)
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT
    assert {"table access", "database settings"} <= {gap.kind for gap in comparison.unproven}
    assert differences(altered) == {
        "table definition public.t",
        "table expressions public.t",
    }


@pytest.mark.servers
def test_an_older_major_is_proven_but_for_what_is_printed_differently(
    make_server: MakeServer, work: Work
) -> None:
    older, newest = make_server(programs=server_programs()), make_server()
    with older.connect() as connection:
        connection.execute(ROLES)
    fill(older, "rich", DATABASE, RICH, SUBSCRIPTION)
    source = back_up(older, "rich", work)
    target = Target("postgres", newest.params(), disposable=True)
    restored = PostgresRestorer().restore(source, target, RestoreOptions(), work)
    comparison = compared(source.record, restored.target, work)
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT
    printed = {gap.kind for gap in comparison.unproven if "print it differently" in gap.reason}
    assert printed == {"view query", "materialized view query"}
    assert comparison.proven_share > 0.97
    with newest.connect("rich") as connection:
        connection.execute("ALTER TABLE customers ALTER note SET NOT NULL")
    assert differences(compared(source.record, restored.target, work)) == {
        "table definition public.customers"
    }
    drop_subscriptions(newest, "rich")


_KEYS = (
    "CREATE TABLE r (a int, b int UNIQUE, PRIMARY KEY (a, b)) PARTITION BY LIST (b);"
    "CREATE TABLE r1 PARTITION OF r FOR VALUES IN (1);"
    "CREATE TABLE p (a int, b int, FOREIGN KEY (a, b) REFERENCES r) PARTITION BY LIST (a);"
    "CREATE TABLE p1 (b int, a int, CONSTRAINT mine FOREIGN KEY (a, b) REFERENCES r);"
    "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);"
    "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY LIST (b);"
    "CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (1);"
    "CREATE TABLE r2 PARTITION OF r FOR VALUES IN (2);"
)

# what PostgreSQL itself made is treated apart by pg_dump
APART = {
    "public dropped": "DROP SCHEMA public",
    "public made anew": "DROP SCHEMA public; CREATE SCHEMA public",
    "public owned": "ALTER SCHEMA public OWNER TO clerk",
    "public closed": "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "public opened": "GRANT CREATE ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS NULL",
    "language dropped": "DROP EXTENSION plpgsql",
    "language revoked": "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC",
    "grants written out": "CREATE TABLE t (n int); GRANT SELECT ON t TO auditor;"
    "REVOKE ALL ON t FROM auditor, postgres; GRANT ALL ON t TO postgres",
    "partition attached": "CREATE TABLE p (a int, b text) PARTITION BY LIST (a);"
    "CREATE TABLE q (b text, x int, a int); ALTER TABLE q DROP x; CREATE INDEX ON q (b);"
    "ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (1); CREATE INDEX ON p (b);"
    "ALTER TABLE p ADD PRIMARY KEY (a); CREATE TABLE r (a int REFERENCES p)",
    "inherited twice": "CREATE TABLE a (x int NOT NULL); CREATE TABLE b (y int) INHERITS (a);"
    "CREATE TABLE c (x int, y int PRIMARY KEY); ALTER TABLE c ALTER x SET NOT NULL;"
    "ALTER TABLE c INHERIT a; CREATE TABLE d () INHERITS (a, c)",
    "foreign keys of partitions": _KEYS,
    "foreign keys validated in a partition only": _KEYS
    + "ALTER TABLE p ADD CONSTRAINT late FOREIGN KEY (b) REFERENCES r (b) NOT VALID;"
    "ALTER TABLE p2 VALIDATE CONSTRAINT late",
}


@pytest.mark.parametrize("name", APART)
def test_what_is_dumped_in_its_own_way_is_equal_too(pair: Pair, work: Work, name: str) -> None:
    fill(pair.origin, "apart", APART[name])
    source = back_up(pair.origin, "apart", work)
    target = Target("postgres", pair.server.params(), disposable=True)
    restored = PostgresRestorer().restore(source, target, RestoreOptions(), work)
    comparison = compared(source.record, restored.target, work)
    pair.server.drop_database("apart")
    pair.origin.drop_database("apart")
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT


def test_what_pg_dump_leaves_out_is_named(postgres: PostgresServer, work: Work) -> None:
    fill(
        postgres,
        "lost",
        "CREATE EXTENSION hstore; CREATE TABLE theirs (n int PRIMARY KEY);"
        "ALTER EXTENSION hstore ADD TABLE theirs",
        "CREATE INDEX mine ON theirs (n)",
        "CREATE EXTENSION citext",
        "UPDATE pg_extension SET extowner = 'pg_monitor'::regrole WHERE extname = 'citext'",
        "CREATE FUNCTION pg_catalog.hidden() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE parent (n int PRIMARY KEY); CREATE TABLE child (n int REFERENCES parent);"
        "ALTER TABLE child DISABLE TRIGGER ALL",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'mine'::regclass",
        "CREATE INDEX broken ON child (n)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
        "CREATE TABLE whole (n int) PARTITION BY LIST (n);"
        "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1);"
        "ALTER TABLE whole ADD CONSTRAINT key FOREIGN KEY (n) REFERENCES parent NOT VALID;"
        "ALTER TABLE part VALIDATE CONSTRAINT key",
        "CREATE AGGREGATE added(int) (sfunc = int4pl, stype = int);"
        "ALTER ROUTINE added(int) DEPENDS ON EXTENSION hstore;"
        "CREATE TRIGGER kept AFTER UPDATE OF n ON whole FOR EACH ROW EXECUTE FUNCTION"
        " suppress_redundant_updates_trigger();"
        "ALTER TRIGGER kept ON part DEPENDS ON EXTENSION hstore;"
        "ALTER TRIGGER kept ON whole DEPENDS ON EXTENSION hstore",
    )
    schema = read_schema(lambda: postgres.connect("lost"), snapshot=None, work=work)
    assert {(gap.kind, gap.name) for gap in schema.not_covered} == {
        ("index", "public.mine"),
        ("function", "pg_catalog.hidden()"),
        ("extension owner", "citext"),
        ("invalid index", "public.mine"),
        ("invalid index", "public.broken"),
        ("disabled foreign key", "child_n_fkey on public.child"),
        ("foreign key of a partition", "key on public.part"),
        ("needed extension", "public.added(integer)"),
        ("needed extension", "kept on public.part"),
    }
    assert not any("broken" in item.name or "mine" in item.name for item in schema.items)
