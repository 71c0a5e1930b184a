"""Roles are compared with those of the source, not only restored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backup_lib.comparison import compare
from backup_lib.model import ProofLevel, Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres.cluster import ROLES_NAME
from backup_lib.stores.postgres.content.schema.roles import KINDS
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.work import Work
from tests.harness.comparing import taken_at_source
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import MakeServer, PostgresServer
from tests.harness.restores import back_up, compared, place, rows, sandbox

SOURCE = """
CREATE TABLE t AS SELECT 1 AS n;
CREATE ROLE boss;
CREATE ROLE clerk IN ROLE boss, pg_monitor CONNECTION LIMIT 7 VALID UNTIL '2040-01-01';
CREATE ROLE "Mixed Case" LOGIN CREATEROLE PASSWORD 'secret';
COMMENT ON ROLE clerk IS 'counts';
ALTER ROLE clerk SET work_mem = '5MB';
ALTER ROLE postgres SET work_mem = '6MB';
ALTER ROLE ALL SET statement_timeout = '77s';
ALTER ROLE ALL SET search_path = "$user", 'a, b';
ALTER ROLE ALL SET temp_tablespaces = '';
ALTER ROLE ALL SET my.setting = 'it''s';
GRANT SET ON PARAMETER log_min_messages TO clerk;
"""
OF_ALL = b"SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = 0 AND setrole = 0"


@pytest.fixture(scope="module")
def origin(make_module_server: MakeServer) -> PostgresServer:
    server = make_module_server()
    server.create_database("staff")
    with server.connect("staff") as connection:
        connection.execute(SOURCE.encode())
    return server


@pytest.fixture(scope="module")
def source(origin: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> MemorySource:
    work = Work(scratch=tmp_path_factory.mktemp("staff"), stall_timeout=60, jobs=1)
    return back_up(origin, "staff", work)


@pytest.fixture(scope="module")
def copy(
    source: MemorySource, make_module_server: MakeServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PostgresServer, Target]:
    server = make_module_server()
    work = Work(scratch=tmp_path_factory.mktemp("copy"), stall_timeout=60, jobs=1)
    return server, PostgresRestorer().restore(
        source, sandbox(server), RestoreOptions(), work
    ).target


def test_roles_of_a_rehearsal_are_proven(
    source: MemorySource, copy: tuple[PostgresServer, Target], work: Work
) -> None:
    items = {(item.kind, item.name) for item in taken_at_source(source.record).items}
    assert items >= {
        ("role definition", "clerk"),
        ("role definition", '"Mixed Case"'),
        ("role memberships", "clerk"),
        ("role settings", "clerk"),
        ("parameter access", "log_min_messages"),
    }
    found = compared(source.record, copy[1], work)
    assert found.differences == ()
    assert found.level is ProofLevel.EXACT
    unproven = {(gap.kind, gap.name) for gap in found.unproven if gap.kind in KINDS}
    # the disposable server is made with a role of that name
    assert unproven == {("role settings", "postgres")}
    assert ("role settings", "ALL") in {
        (gap.kind, gap.name) for gap in source.record.backup.not_covered
    }


@pytest.mark.parametrize(
    ("change", "back", "differs"),
    [
        (
            "ALTER ROLE clerk SUPERUSER BYPASSRLS",
            "ALTER ROLE clerk NOSUPERUSER NOBYPASSRLS",
            ("role definition", "clerk"),
        ),
        (
            "COMMENT ON ROLE clerk IS 'rules'",
            "COMMENT ON ROLE clerk IS 'counts'",
            ("role definition", "clerk"),
        ),
        ("REVOKE boss FROM clerk", "GRANT boss TO clerk", ("role memberships", "clerk")),
        (
            "GRANT boss TO clerk WITH ADMIN OPTION",
            "REVOKE ADMIN OPTION FOR boss FROM clerk",
            ("role memberships", "clerk"),
        ),
        (
            "ALTER ROLE clerk SET row_security = off",
            "ALTER ROLE clerk RESET row_security",
            ("role settings", "clerk"),
        ),
        (
            "REVOKE SET ON PARAMETER log_min_messages FROM clerk",
            "GRANT SET ON PARAMETER log_min_messages TO clerk",
            ("parameter access", "log_min_messages"),
        ),
        ("CREATE ROLE smuggled", "DROP ROLE smuggled", ("role definition", "smuggled")),
        (
            'DROP ROLE "Mixed Case"',
            'CREATE ROLE "Mixed Case" LOGIN CREATEROLE',
            ("role definition", '"Mixed Case"'),
        ),
    ],
)
def test_a_role_that_is_another_one_in_the_copy_is_found(
    source: MemorySource,
    copy: tuple[PostgresServer, Target],
    work: Work,
    change: str,
    back: str,
    differs: tuple[str, str],
) -> None:
    server, target = copy
    with server.connect() as connection:
        connection.execute(change.encode())
    found = compared(source.record, target, work)
    with server.connect() as connection:
        connection.execute(back.encode())
    assert [(one.kind, one.name) for one in found.differences] == [differs]
    assert compared(source.record, target, work).differences == ()


def test_a_kept_server_has_roles_of_its_own(
    source: MemorySource, make_server: MakeServer, work: Work
) -> None:
    server = make_server()
    with server.connect() as connection:
        connection.execute("CREATE ROLE clerk LOGIN; CREATE ROLE theirs; CREATE ROLE boss")
        connection.execute("ALTER ROLE ALL SET statement_timeout = '5min'")
    options = RestoreOptions(database="staff", globals=True)
    restored = PostgresRestorer().restore(source, place(server, "postgres"), options, work)
    found = compared(source.record, restored.target, work)
    assert found.differences == ()
    unproven = {(gap.kind, gap.name) for gap in found.unproven}
    assert ("role definition", "clerk") in unproven
    assert ("role definition", "theirs") not in unproven
    assert rows(server, "postgres", OF_ALL) == [
        (
            [
                "statement_timeout=5min",
                "my.setting=it's",
                'search_path="$user", "a, b"',
                'temp_tablespaces=""',
            ],
        )
    ]
    notes = " / ".join(restored.notes)
    assert (
        'for all roles of this server: "my"."setting", "search_path", "temp_tablespaces"' in notes
    )
    assert 'already, and left: "statement_timeout"' in notes


def test_what_the_server_does_not_take_for_all_roles_is_told(
    origin: PostgresServer, make_server: MakeServer, work: Work
) -> None:
    source = back_up(origin, "staff", work)
    source._set.kept[ROLES_NAME].data += b"ALTER ROLE ALL SET no_such_thing TO '1';\n"
    server = make_server()
    options = RestoreOptions(database="staff", globals=True)
    restored = PostgresRestorer().restore(source, place(server, "postgres"), options, work)
    assert rows(server, "staff", b"SELECT n FROM public.t") == [(1,)]
    assert any(
        note.startswith("no_such_thing was not set for all roles of this server: unrecognized")
        for note in restored.notes
    )


def test_what_is_set_for_all_roles_is_left_alone_without_globals(
    source: MemorySource, make_server: MakeServer, work: Work
) -> None:
    server = make_server()
    options = RestoreOptions(database="staff")
    PostgresRestorer().restore(source, place(server, "postgres"), options, work)
    assert rows(server, "postgres", OF_ALL) == []


def test_a_set_made_before_roles_were_compared_stays_good(
    source: MemorySource, copy: tuple[PostgresServer, Target], work: Work
) -> None:
    record = source.record
    items = tuple(item for item in taken_at_source(source.record).items if item.kind not in KINDS)
    older = replace(taken_at_source(source.record), items=items)
    record = replace(record, backup=replace(record.backup, fingerprint=older))
    found = PostgresRestorer().fingerprint(record, copy[1], work)
    assert compare(older, found, work.clock.now()).differences == ()


def test_without_globals_no_role_is_promised(
    origin: PostgresServer, make_server: MakeServer, work: Work
) -> None:
    source = back_up(origin, "staff", work, globals=False)
    assert not [item for item in taken_at_source(source.record).items if item.kind in KINDS]
    restored = PostgresRestorer().restore(source, sandbox(make_server()), RestoreOptions(), work)
    assert compared(source.record, restored.target, work).differences == ()
