"""Backups of real PostgreSQL servers: what is in them, and what is never published."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from backup_lib.model import StoreBackup
from backup_lib.stores.postgres.connection import APPLICATION
from backup_lib.stores.postgres.needs import needs
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.source import PostgresSource
from backup_lib.work import Work
from restoreproof.errors import Interrupted, Refused, Unreachable
from restoreproof.events import Event, Warned
from restoreproof.process import Cancellation
from restoreproof.secrets import SecretRef
from tests.harness.memory_set import MemorySet
from tests.harness.postgres import (
    MakeServer,
    PostgresServer,
    bundled_programs,
    caught_up,
    standby_of,
)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


def source_of(server: PostgresServer, dbname: str, **settings: object) -> PostgresSource:
    given = {**server.params(dbname), **settings}
    port = int(str(given.pop("port")))
    return PostgresSource(
        "orders", PostgresSettings.model_validate({**given, "port": port}), Path("/")
    )


def filled(server: PostgresServer, rows: int = 1000) -> str:
    server.create_database("orders")
    with server.connect("orders") as connection:
        connection.execute("CREATE TABLE orders (id serial PRIMARY KEY, note text)")
        connection.execute(
            "INSERT INTO orders (note) SELECT 'order ' || n FROM generate_series(1, %s) n", (rows,)
        )
    return "orders"


def back_up(source: PostgresSource, work: Work) -> tuple[StoreBackup, MemorySet]:
    kept = MemorySet()
    return source.backup(kept.sink(), work), kept


def test_a_backup_says_what_it_is(postgres: PostgresServer, work: Work) -> None:
    backup, kept = back_up(source_of(postgres, filled(postgres)), work)
    assert backup.server.version.startswith("18")
    assert backup.details["encoding"] == "UTF8"
    assert backup.details["format"] == "custom"
    assert [need.feature for need in backup.needs] == ["server"]
    assert backup.fingerprint is not None
    tables = {item.name: item.count for item in backup.fingerprint.items if item.kind == "table"}
    assert tables == {"public.orders": 1000}
    assert kept.kept["database.dump"].data.startswith(b"PGDMP")
    assert b"CREATE ROLE postgres" in kept.kept["roles.sql"].data


def test_nothing_is_left_open_on_the_server(postgres: PostgresServer, work: Work) -> None:
    back_up(source_of(postgres, filled(postgres)), work)
    with postgres.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s",
            (f"{APPLICATION}%",),
        ).fetchone()
    assert row == (0,)


def test_the_directory_format_is_stored_as_one_tar(postgres: PostgresServer, work: Work) -> None:
    source = source_of(postgres, filled(postgres), format="directory", jobs=2)
    backup, kept = back_up(source, work)
    assert backup.details["format"] == "directory"
    assert kept.kept["database.tar"].media_type == "application/x-tar"
    assert list(work.scratch.iterdir()) == []


def test_without_room_the_directory_format_becomes_one_stream(
    postgres: PostgresServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_lib.stores.postgres.source.has_room", lambda *_: False)
    events: list[Event] = []
    told = Work(events.append, scratch=work.scratch, jobs=2)
    source = source_of(postgres, filled(postgres), format="directory")
    backup, kept = back_up(source, told)
    assert backup.details["format"] == "custom"
    assert "database.dump" in kept.kept
    assert any(isinstance(event, Warned) and "no room" in event.message for event in events)


def test_the_fingerprint_may_be_left_out(postgres: PostgresServer, work: Work) -> None:
    kept = MemorySet()
    source = source_of(postgres, filled(postgres))
    assert source.backup(kept.sink(), work, fingerprint=False).fingerprint is None


def test_without_superuser_roles_come_without_passwords(
    postgres: PostgresServer, work: Work
) -> None:
    filled(postgres)
    with postgres.connect("orders") as connection:
        connection.execute("CREATE ROLE keeper LOGIN PASSWORD 'hidden'")
        connection.execute("ALTER DATABASE orders OWNER TO keeper")
        connection.execute("ALTER TABLE orders OWNER TO keeper")
    try:
        backup, kept = back_up(source_of(postgres, "orders", user="keeper"), work)
    finally:
        postgres.drop_database("orders")
        with postgres.connect() as connection:
            connection.execute("DROP ROLE keeper")
    assert any("without passwords" in note for note in backup.notes)
    assert backup.details["passwords"] is False
    assert b"SCRAM" not in kept.kept["roles.sql"].data


def test_no_permission_names_the_grant(postgres: PostgresServer, work: Work) -> None:
    filled(postgres)
    with postgres.connect("orders") as connection:
        connection.execute("CREATE ROLE nobody_special LOGIN")
    try:
        with pytest.raises(Unreachable, match="permission") as caught:
            back_up(source_of(postgres, "orders", user="nobody_special"), work)
    finally:
        with postgres.connect() as connection:
            connection.execute("DROP ROLE nobody_special")
    assert "pg_read_all_data" in caught.value.hint


# ── never published ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the real tools, one of which a test replaces."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore"):
        (folder / name).symlink_to(bundled_programs() / name)
    return folder


def replace_tool(tools: Path, name: str, then: str) -> None:
    """A script in place of a tool; ``$REAL`` is the real one."""
    (tools / name).unlink()
    script = tools / name
    real = bundled_programs() / name
    script.write_text(
        f'#!/bin/sh\nREAL={real}\n[ "$1" = --version ] && exec "$REAL" --version\n{then}\n'
    )
    script.chmod(0o755)


@pytest.mark.parametrize("share", ["1000", "60000", "150000"])
def test_exit_code_0_with_half_the_data_is_not_stored(
    postgres: PostgresServer, work: Work, tools: Path, share: str
) -> None:
    filled(postgres, rows=10_000)
    replace_tool(tools, "pg_dump", f'"$REAL" "$@" | head -c {share}; exit 0')
    kept = MemorySet()
    with pytest.raises(Unreachable, match="not a whole archive"):
        source_of(postgres, "orders", programs=str(tools)).backup(kept.sink(), work)
    assert kept.kept == {}


def test_a_killed_dump_is_not_stored(postgres: PostgresServer, work: Work, tools: Path) -> None:
    filled(postgres)
    replace_tool(tools, "pg_dump", '"$REAL" "$@" | head -c 5000; kill -9 $$')
    kept = MemorySet()
    with pytest.raises(Unreachable, match="SIGKILL"):
        source_of(postgres, "orders", programs=str(tools)).backup(kept.sink(), work)
    assert kept.kept == {}


def test_roles_cut_with_exit_code_0_are_not_stored(
    postgres: PostgresServer, work: Work, tools: Path
) -> None:
    filled(postgres)
    replace_tool(tools, "pg_dumpall", '"$REAL" "$@" | head -n 5; exit 0')
    kept = MemorySet()
    with pytest.raises(Unreachable, match="pg_dumpall wrote 0 of"):
        source_of(postgres, "orders", programs=str(tools)).backup(kept.sink(), work)
    assert "roles.sql" not in kept.kept


def test_a_sink_that_breaks_off_stops_everything(postgres: PostgresServer, work: Work) -> None:
    filled(postgres, rows=10_000)
    kept = MemorySet(limit=1000)
    with pytest.raises(OSError, match="the destination broke off"):
        source_of(postgres, "orders").backup(kept.sink(), work)
    assert kept.kept == {}


def test_a_server_stopped_midway_is_unreachable(
    make_server: MakeServer, work: Work, tools: Path
) -> None:
    server = make_server()
    filled(server)
    replace_tool(tools, "pg_dump", f'touch {tools}/begun; sleep 2; exec "$REAL" "$@"')

    def stop() -> None:
        while not (tools / "begun").exists():
            time.sleep(0.02)
        server.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    kept = MemorySet()
    try:
        with pytest.raises(Unreachable):
            source_of(server, "orders", programs=str(tools)).backup(kept.sink(), work)
    finally:
        stopper.join()
    assert kept.kept == {}


def test_a_request_to_stop_leaves_nothing_running(
    postgres: PostgresServer, work: Work, tools: Path
) -> None:
    filled(postgres)
    replace_tool(tools, "pg_dump", f'echo $$ > {tools}/pid; sleep 60; exec "$REAL" "$@"')
    cancel = Cancellation()
    stoppable = Work(cancel=cancel, scratch=work.scratch, jobs=2)

    def request() -> None:
        while not (tools / "pid").exists() or not (tools / "pid").read_text().strip():
            time.sleep(0.02)
        cancel.request()

    threading.Thread(target=request).start()
    kept = MemorySet()
    with pytest.raises(Interrupted):
        source_of(postgres, "orders", programs=str(tools)).backup(kept.sink(), stoppable)
    assert kept.kept == {}
    assert not Path("/proc", (tools / "pid").read_text().strip()).exists()


# ── looking after the source ────────────────────────────────────────────────────────────────────


@pytest.fixture
def slow_dump(tools: Path) -> Path:
    """pg_dump that holds its locks for a while: it is stopped once it has begun to write."""
    begun = tools / "begun"
    replace_tool(tools, "pg_dump", f'"$REAL" "$@" | (head -c 100; touch {begun}; sleep 3; cat)')
    return tools


def test_a_waiting_ddl_and_its_queue_are_named(
    postgres: PostgresServer, work: Work, slow_dump: Path
) -> None:
    filled(postgres, rows=200_000)
    events: list[Event] = []
    told = Work(events.append, scratch=work.scratch, jobs=2)
    source = source_of(postgres, "orders", programs=str(slow_dump))

    def alter() -> None:
        while not (slow_dump / "begun").exists():
            time.sleep(0.02)
        reading.start()
        with postgres.connect("orders") as connection:
            connection.execute("ALTER TABLE orders ADD COLUMN more int")

    def read() -> None:
        with postgres.connect("orders") as connection:
            connection.execute("SELECT count(*) FROM orders")

    altering, reading = threading.Thread(target=alter), threading.Timer(0.4, read)
    altering.start()
    source.backup(MemorySet().sink(), told)
    altering.join()
    reading.join()
    warnings = [event for event in events if isinstance(event, Warned)]
    assert any("AccessExclusiveLock on public.orders" in warning.message for warning in warnings)
    assert any("1 more wait behind it" in warning.message for warning in warnings)
    assert "ALTER TABLE orders" in warnings[0].details[0]


def test_a_snapshot_that_gets_too_old_breaks_the_dump_off(
    postgres: PostgresServer, work: Work, slow_dump: Path
) -> None:
    filled(postgres)
    source = source_of(postgres, "orders", programs=str(slow_dump), max_snapshot_age="1s")
    kept = MemorySet()
    with pytest.raises(Refused, match="max_snapshot_age"):
        source.backup(kept.sink(), work)
    assert kept.kept == {}


def test_a_lock_that_is_not_given_up_is_named(postgres: PostgresServer, work: Work) -> None:
    filled(postgres)
    source = source_of(postgres, "orders", lock_timeout="1s")
    with postgres.connect("orders") as connection, connection.transaction():
        connection.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unreachable, match=r"lock on public\.orders") as caught:
            back_up(source, work)
    assert "lock_timeout" in caught.value.hint


@pytest.mark.parametrize("fingerprint", [True, False])
def test_a_table_is_not_emptied_between_fingerprint_and_dump(
    postgres: PostgresServer, work: Work, tools: Path, *, fingerprint: bool
) -> None:
    filled(postgres)
    begun = tools / "begun"
    replace_tool(tools, "pg_dump", f'touch {begun}; sleep 2; exec "$REAL" "$@"')
    source = source_of(postgres, "orders", programs=str(tools), lock_timeout="1s")

    def empty() -> None:
        while not begun.exists():
            time.sleep(0.02)
        with postgres.connect("orders") as connection:
            connection.execute("TRUNCATE orders CASCADE")

    emptying = threading.Thread(target=empty)
    emptying.start()
    kept = MemorySet()
    try:
        with pytest.raises(Unreachable, match=r"lock on public\.orders"):
            source.backup(kept.sink(), work, fingerprint=fingerprint)
    finally:
        emptying.join()
    assert kept.kept == {}  # and not a dump of an empty table


def test_what_the_snapshot_does_not_see_is_not_stored_without_a_fingerprint_either(
    postgres: PostgresServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(postgres)

    def needs_and_truncate(*given: object) -> object:
        with postgres.connect("orders") as connection:
            connection.execute("TRUNCATE orders CASCADE")
        return needs(*given)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr("backup_lib.stores.postgres.source.needs", needs_and_truncate)
    kept = MemorySet()
    with pytest.raises(Unreachable, match=r"public\.orders was emptied"):
        source_of(postgres, "orders").backup(kept.sink(), work, fingerprint=False)
    assert kept.kept == {}


def test_more_objects_than_a_manifest_holds_are_refused_before_anything_is_dumped(
    postgres: PostgresServer, work: Work, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(postgres)
    begun = tools / "begun"
    replace_tool(tools, "pg_dump", f'touch {begun}; exec "$REAL" "$@"')
    monkeypatch.setattr("restoreproof.signing.dsse.MAX_ENVELOPE", 300)
    kept = MemorySet()
    source = source_of(postgres, "orders", programs=str(tools))
    with pytest.raises(Refused, match=r"orders on .* has \d+ objects to fingerprint") as caught:
        source.backup(kept.sink(), work)
    assert "fingerprint = false" in caught.value.hint
    assert not begun.exists()
    assert kept.kept == {}
    source.backup(kept.sink(), work, fingerprint=False)
    assert kept.kept


def test_more_tables_than_the_server_has_locks_for_are_told(
    make_server: MakeServer, work: Work
) -> None:
    server = make_server(max_locks_per_transaction="10", max_connections="12")
    server.create_database("orders")
    with server.connect("orders") as connection:
        connection.execute("SET client_min_messages = error")
        for first in range(0, 3000, 50):
            connection.execute(
                f"DO $$ BEGIN FOR i IN {first}..{first + 49} LOOP"
                " EXECUTE format('CREATE TABLE t%s ()', i); END LOOP; END $$".encode()
            )
    kept = MemorySet()
    with pytest.raises(Unreachable, match="locks of so many tables") as caught:
        source_of(server, "orders").backup(kept.sink(), work)
    assert "max_locks_per_transaction" in caught.value.hint
    assert kept.kept == {}


def test_databases_without_a_store_are_named(postgres: PostgresServer) -> None:
    filled(postgres)
    postgres.create_database("forgotten")
    source = source_of(postgres, "orders")
    missed = {gap.name for gap in source.not_backed_up([source])}
    assert "forgotten" in missed
    assert not missed & {"orders", "template0", "template1", "postgres"}


def test_a_password_is_in_no_argument_and_no_environment(
    make_server: MakeServer, work: Work, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server(tcp=True, password="planted-secret-4711")
    server.create_database("orders")
    replace_tool(
        tools,
        "pg_dump",
        f'cat /proc/$$/cmdline /proc/$$/environ > {tools}/seen; exec "$REAL" "$@"',
    )
    monkeypatch.setenv("ORDERS_DSN", server.dsn("orders"))
    settings = PostgresSettings(dsn=SecretRef(env="ORDERS_DSN"), programs=tools)
    PostgresSource("orders", settings, Path("/")).backup(MemorySet().sink(), work)
    seen = (tools / "seen").read_bytes()
    assert b"passfile=" in seen
    assert b"planted" not in seen
    assert os.environ["ORDERS_DSN"].encode() not in seen


def test_writes_go_on_while_the_dump_runs(postgres: PostgresServer, work: Work) -> None:
    postgres.create_database("bench")
    address = ["-h", postgres.host, "-p", str(postgres.port), "-U", "postgres"]
    postgres.run("pgbench", *address, "-i", "-q", "bench")
    with subprocess.Popen(
        [str(postgres.programs / "pgbench"), *address, "-T", "30", "-c", "2", "bench"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    ) as writers:
        time.sleep(0.5)
        backup, _ = back_up(source_of(postgres, "bench"), work)
        writers.terminate()
    assert backup.fingerprint is not None
    assert backup.fingerprint.consistency == "snapshot"


@pytest.fixture
def replica(make_server: MakeServer) -> tuple[PostgresServer, PostgresServer]:
    """A primary and its standby."""
    primary = make_server(wal_level="replica", max_wal_senders="4")
    return primary, standby_of(primary, make_server)


def test_a_replica_is_a_source_too(
    replica: tuple[PostgresServer, PostgresServer], work: Work
) -> None:
    primary, standby = replica
    filled(primary)
    with primary.connect("orders") as connection:
        connection.execute("CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS n")
    caught_up(primary, standby)
    backup, _ = back_up(source_of(standby, "orders"), work)
    assert backup.details["replica"] is True
    assert any("replica" in note for note in backup.notes)
    assert backup.fingerprint is not None
    tables = {item.name: item.count for item in backup.fingerprint.items if item.kind == "table"}
    assert tables == {"public.orders": 1000}
    assert any("fleeting" in gap.name for gap in backup.fingerprint.not_covered)
