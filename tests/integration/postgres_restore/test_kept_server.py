"""Onto a server that is kept: nothing that is there is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psycopg
import pytest

from backup_lib.model import Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres import databases
from backup_lib.stores.postgres.catalog import Database
from backup_lib.stores.postgres.databases import administration, aside
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.work import Work
from restoreproof.errors import (
    JudgedBad,
    Refused,
)
from tests.harness.forked import run_forked
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import MakeServer, PostgresServer
from tests.harness.restores import back_up, fill, names, place, rows, same

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


@pytest.fixture
def clerk(other: PostgresServer) -> None:
    """A role that settings of the database are made for, on a server that tests share."""
    with other.connect() as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE clerk; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )


@pytest.mark.usefixtures("reader", "clerk")
def test_settings_of_the_database_are_there_when_it_is_checked_and_named(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
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


@pytest.mark.usefixtures("reader", "clerk")
def test_settings_that_belong_to_another_name_are_named_and_not_restored(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    restored = PostgresRestorer().restore(
        source, place(other, "shop"), RestoreOptions(database="shop2"), work
    )
    other.databases.append("shop2")
    (note,) = restored.notes
    assert note.endswith("were not restored: its comment, work_mem")
    assert rows(other, "shop2", b"SHOW work_mem") == [("4MB",)]


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
