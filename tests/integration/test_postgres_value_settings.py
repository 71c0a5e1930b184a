"""Settings that change values: what they are at the source must not change what is restored."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backup_lib.model import ProofLevel, Target
from backup_lib.services.rehearsal import judge_content
from backup_lib.stores.base import Restored, RestoreOptions
from backup_lib.stores.postgres.connection import connect, value
from backup_lib.stores.postgres.properties import Properties
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.work import Work
from restoreproof.verdict import Verdict
from tests.harness.locales import MONETARY, make_monetary_locale
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import MakeServer, PostgresServer
from tests.harness.restores import back_up, compared


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture(scope="module")
def locales() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="locales-"))
    folder.chmod(0o755)
    make_monetary_locale(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def other(make_module_server: MakeServer, locales: Path) -> PostgresServer:
    """The server that is restored into."""
    return make_module_server(locales=locales)


@pytest.fixture(scope="module")
def foreign(make_module_server: MakeServer, locales: Path) -> PostgresServer:
    """A server that writes and reads money as its country does."""
    return make_module_server(locales=locales, lc_monetary=MONETARY)


def restored(
    source: MemorySource,
    server: PostgresServer,
    work: Work,
    database: str | None = None,
    *,
    disposable: bool = True,
) -> Restored:
    dbname = "postgres" if disposable else database or "shop"
    target = Target("postgres", server.params(dbname), disposable=disposable)
    return PostgresRestorer().restore(source, target, RestoreOptions(database=database), work)


def assert_proven(source: MemorySource, copy: Target, work: Work) -> None:
    comparison = compared(source.record, copy, work)
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT


# ── money ───────────────────────────────────────────────────────────────────────────────────────

AMOUNTS = """
CREATE TYPE amounts AS RANGE (subtype = money);
CREATE TABLE plain (m money DEFAULT 12::money); INSERT INTO plain VALUES (1234.5::numeric::money),
    ((-9223372036854775)::money), (0.01::numeric::money), (NULL);
CREATE TABLE held (a money[], r amounts); INSERT INTO held
    VALUES (ARRAY[99::money], amounts(1::money, 2::money));
"""


@pytest.mark.parametrize("there", ["foreign", "other"])
@pytest.mark.parametrize("here", ["foreign", "other"])
def test_money_is_restored_whatever_country_the_servers_are_of(
    here: str, there: str, request: pytest.FixtureRequest, work: Work
) -> None:
    source_server: PostgresServer = request.getfixturevalue(here)
    server: PostgresServer = request.getfixturevalue(there)
    source_server.create_database("money")
    try:
        with source_server.connect("money") as connection:
            connection.execute(AMOUNTS)
        source = back_up(source_server, "money", work)
        copy = restored(source, server, work, "copied").target
        assert_proven(source, copy, work)
    finally:
        source_server.drop_database("money")
        server.drop_database("copied")


@pytest.mark.parametrize("holds", ["m money", "m money[]", "m amount", "m amounts", "m purse"])
def test_money_is_found_in_whatever_type_it_hides(
    holds: str, foreign: PostgresServer, work: Work
) -> None:
    foreign.create_database("hidden")
    try:
        with foreign.connect("hidden") as connection:
            kind = holds.removeprefix("m ")
            connection.execute(
                {
                    "amount": "CREATE DOMAIN amount AS money",
                    "amounts": "CREATE TYPE amounts AS RANGE (subtype = money)",
                    "purse": "CREATE TYPE purse AS (m money)",
                }.get(kind, "SELECT").encode()
            )
            connection.execute(f"CREATE TABLE t ({holds})".encode())
        assert back_up(foreign, "hidden", work).record.backup.details["money"] is True
    finally:
        foreign.drop_database("hidden")


# ── settings of the database ────────────────────────────────────────────────────────────────────

COMPUTED = """
CREATE FUNCTION times(int) RETURNS int IMMUTABLE LANGUAGE sql
    AS $$ SELECT $1 * current_setting('my.factor')::int $$;
CREATE FUNCTION told(date) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1::text $$;
CREATE TABLE computed (n int CHECK (times(n) < 100), m int GENERATED ALWAYS AS (times(n)) STORED,
    d date, t text GENERATED ALWAYS AS (told(d)) STORED);
INSERT INTO computed (n, d) VALUES (7, '2020-02-01');
"""
SETTINGS = """
ALTER DATABASE shop SET my.factor = '3'; ALTER DATABASE shop SET "DateStyle" = 'SQL, DMY';
ALTER ROLE postgres IN DATABASE shop SET my.other = E'x; ALTER DATABASE y SET z\\n''';
ALTER DATABASE shop SET default_transaction_read_only = on;
ALTER DATABASE shop SET idle_session_timeout = '1h';
ALTER DATABASE shop SET "exit_on_error" = on;
"""


@pytest.fixture
def computed(postgres: PostgresServer) -> PostgresServer:
    postgres.create_database("shop")
    with postgres.connect() as connection:
        connection.execute(SETTINGS)
    with postgres.connect("shop", options="-c default_transaction_read_only=off") as connection:
        connection.execute(COMPUTED)
    return postgres


@pytest.mark.parametrize("form", ["custom", "directory"])
def test_rows_are_loaded_under_the_settings_of_their_database(
    form: str, computed: PostgresServer, other: PostgresServer, work: Work
) -> None:
    source = back_up(computed, "shop", work, format=form)
    copy = restored(source, other, work).target
    try:
        assert_proven(source, copy, work)
        with other.connect("shop") as connection:
            assert connection.execute("SELECT m, t FROM computed").fetchone() == (21, "01/02/2020")
            assert connection.execute("SHOW my.other").fetchone() == (
                "x; ALTER DATABASE y SET z\n'",
            )
    finally:
        other.drop_database("shop")


@pytest.mark.parametrize("database", ["shop", "under another name"])
def test_a_server_that_is_kept_loads_them_so_too(
    database: str, computed: PostgresServer, other: PostgresServer, work: Work
) -> None:
    source = back_up(computed, "shop", work)
    done = restored(source, other, work, database, disposable=False)
    try:
        with other.connect(database) as connection:
            assert connection.execute("SELECT m, t FROM computed").fetchone() == (21, "01/02/2020")
            kept = connection.execute("SELECT current_setting('my.factor', true)").fetchone()
            roles = connection.execute("SELECT current_setting('my.other', true)").fetchone()
        if database == "shop":
            assert kept == ("3",)
            assert roles == ("x; ALTER DATABASE y SET z\n'",)
        else:
            assert kept in ((None,), ("",))
            assert roles in ((None,), ("",))
            assert any("belong to its name" in note for note in done.notes)
    finally:
        other.drop_database(database)


def test_no_setting_of_the_database_ends_our_sessions(computed: PostgresServer) -> None:
    with connect(Target("postgres", computed.params("shop"))) as connection:
        assert value(connection, "SHOW idle_session_timeout") == "0"


def test_what_would_hinder_the_load_is_overridden_and_nothing_else() -> None:
    script = b"""-- Name: shop; Type: DATABASE PROPERTIES; Schema: -; Owner: postgres
ALTER DATABASE "my shop" SET idle_session_timeout TO '1h';
ALTER DATABASE "my shop" SET my.remark TO 'a; SET role TO ''x'';';
ALTER ROLE "a; b" IN DATABASE "my shop" SET "DateStyle" TO 'SQL';
GRANT CONNECT ON DATABASE "my shop" TO PUBLIC;
"""
    properties = Properties(script)
    assert properties.overridden() == {"idle_session_timeout": "0"}
    assert (
        properties.settings('new"x', roles=True)
        == b"""\
ALTER DATABASE "new""x" SET idle_session_timeout TO '1h';
ALTER DATABASE "new""x" SET my.remark TO 'a; SET role TO ''x'';';
ALTER ROLE "a; b" IN DATABASE "new""x" SET "DateStyle" TO 'SQL';
"""
    )
    assert b"ROLE" not in properties.settings("new", roles=False)


def test_who_may_not_make_a_setting_is_told(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("shop")
    with postgres.connect() as connection:
        connection.execute("""ALTER DATABASE shop SET log_min_messages = 'error';
            ALTER DATABASE shop SET "DateStyle" = 'SQL, DMY'""")
    with postgres.connect("shop") as connection:
        connection.execute(
            """
            CREATE FUNCTION told(date) RETURNS text IMMUTABLE LANGUAGE sql
                AS $$ SELECT $1::text $$;
            CREATE TABLE t (d date, t text GENERATED ALWAYS AS (told(d)) STORED);
            INSERT INTO t VALUES ('2020-02-01')
            """
        )
    with other.connect() as connection:
        connection.execute("CREATE ROLE clerk LOGIN CREATEDB")
    source = back_up(postgres, "shop", work, globals=False)
    target = Target("postgres", {**other.params("shop"), "user": "clerk"})
    try:
        done = PostgresRestorer().restore(source, target, RestoreOptions(), work)
        with other.connect("shop") as connection:
            assert connection.execute("SELECT t FROM t").fetchone() == ("01/02/2020",)
        assert [note for note in done.notes if "of the database itself was not restored" in note]
    finally:
        other.drop_database("shop")
        with other.connect() as connection:
            connection.execute("DROP ROLE clerk")


def test_what_the_restore_computed_otherwise_is_said_to_be_that(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("shop")
    with postgres.connect("shop") as connection:
        connection.execute("SET my.factor = '3'")  # of this session only: no dump has it
        connection.execute(COMPUTED.replace("'my.factor'", "'my.factor', true"))
    source = back_up(postgres, "shop", work)
    try:
        comparison = compared(source.record, restored(source, other, work).target, work)
    finally:
        other.drop_database("shop")
    assert [found.name for found in comparison.differences] == ["public.computed"]
    (gap,) = [gap for gap in comparison.unproven if gap.kind == "generated columns"]
    assert gap.name == "public.computed"
    content = judge_content(comparison)
    assert content.verdict is Verdict.FAILED
    assert "generated columns of public.computed: what m, t holds is in no dump" in content.reason


def test_an_older_set_says_nothing_of_money(foreign: PostgresServer, work: Work) -> None:
    """What it was dumped as is not known then, and it is read as before."""
    foreign.create_database("older")
    try:
        with foreign.connect("older") as connection:
            connection.execute("CREATE TABLE t AS SELECT 5 AS n")
        source = back_up(foreign, "older", work)
        backup = source.record.backup
        details = {key: word for key, word in backup.details.items() if key != "money"}
        source._set.record = replace(source.record, backup=replace(backup, details=details))
        assert_proven(source, restored(source, foreign, work, "copied").target, work)
    finally:
        foreign.drop_database("older")
        foreign.drop_database("copied")
