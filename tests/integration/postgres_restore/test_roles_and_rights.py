"""Roles of the source, and databases that we may not make."""

from __future__ import annotations

import pytest

from backup_lib.model import Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.work import Work
from restoreproof.errors import (
    JudgedBad,
    NoSpace,
    Unreachable,
)
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import MakeServer, PostgresServer
from tests.harness.restores import back_up, names, place, rows, sandbox

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
