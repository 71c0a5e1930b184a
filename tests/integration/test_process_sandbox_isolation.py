"""A hostile superuser inside a disposable PostgreSQL: what it reaches, and what it does not.

Each attack is also made on a server without the layers, where it has to succeed: so that a test
does not pass because the attack was wrong.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from backup_lib.model import Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.postgres.server import PostgresRecipe
from backup_lib.work import Work
from restoreproof.confine import NAMESPACES
from tests.harness.sandboxes import OPEN, processes_in, remains_of

SECRET = f"planted-{uuid.uuid4().hex}"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a server its own user")


class Listener:
    """A server on loopback that counts who comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.calls = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.calls += 1
                connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@dataclass(frozen=True)
class Attacked:
    """A server, and what its attacker wants."""

    target: Target
    key: Path
    drop: Path

    def execute(self, statement: sql.Composed | sql.SQL) -> list[tuple[object, ...]]:
        with psycopg.connect(make_conninfo(**self.target.params), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def tried(self, text: str, **literals: object) -> str:
        """The outcome of a statement as text: its rows, or the error's code."""
        statement = sql.SQL(text).format(
            **{name: sql.Literal(str(value)) for name, value in literals.items()}
        )
        try:
            return str(self.execute(statement))
        except psycopg.Error as error:
            return f"refused: {error.sqlstate}"


@contextmanager
def attacked(skip: tuple[str, ...]) -> Iterator[Attacked]:
    folder = Path(tempfile.mkdtemp(prefix="rp-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        (folder / "sandboxes").mkdir(mode=0o755)
        key = folder / "signing.key"
        key.write_text(SECRET)
        key.chmod(0o644)
        drop = folder / "open-to-all"
        drop.mkdir()
        drop.chmod(0o777)
        sandbox = ProcessSandbox(folder=folder / "sandboxes", skip=skip)
        with sandbox.start(PostgresRecipe(), Work()) as server:
            yield Attacked(server.target, key, drop)
        assert remains_of(folder / "sandboxes") == []
    finally:
        shutil.rmtree(folder)


@pytest.fixture(
    scope="module",
    params=[(), NAMESPACES, ("landlock",)],
    ids=["all layers", "no namespaces", "no landlock"],
)
def shut_in(request: pytest.FixtureRequest) -> Iterator[Attacked]:
    os.environ["PLANTED_TOKEN"] = SECRET
    try:
        with attacked(request.param) as made:
            yield made
    finally:
        del os.environ["PLANTED_TOKEN"]


@pytest.fixture(scope="module")
def open_server() -> Iterator[Attacked]:
    with attacked(OPEN) as made:
        yield made


READING = {
    "pg_read_file": "SELECT pg_read_file({key})",
    "lo_import": "SELECT lo_import({key})",
    "copy": "CREATE TEMP TABLE stolen (line text); COPY stolen FROM {key}",
    "program": "CREATE TEMP TABLE stolen (line text); COPY stolen FROM PROGRAM {program}",
}


@pytest.mark.parametrize("way", READING)
def test_a_key_that_everybody_could_read_stays_out_of_reach(
    shut_in: Attacked, open_server: Attacked, way: str
) -> None:
    def outcome(server: Attacked) -> str:
        return server.tried(
            READING[way],
            key=server.key,
            program=f"cat {server.key}",
        )

    assert outcome(shut_in).startswith("refused")
    if way != "program":  # no program of the system can be started, whatever the layers
        assert not outcome(open_server).startswith("refused")


WRITING = {
    "copy": "COPY (SELECT 1) TO {path}",
    "lo_export": "SELECT lo_from_bytea({oid}::oid, 'x'); SELECT lo_export({oid}::oid, {path})",
    "program": "COPY (SELECT 1) TO PROGRAM {program}",
}


@pytest.mark.parametrize("way", WRITING)
def test_nothing_can_be_written_elsewhere(
    shut_in: Attacked, open_server: Attacked, way: str
) -> None:
    def outcome(server: Attacked) -> str:
        path = server.drop / f"dropped-{uuid.uuid4().hex}"
        number = uuid.uuid4().int % 10**9 + 20_000
        return server.tried(WRITING[way], path=path, program=f"cat > {path}", oid=number)

    assert outcome(shut_in).startswith("refused")
    assert list(shut_in.drop.iterdir()) == []
    if way != "program":
        assert not outcome(open_server).startswith("refused")
        assert list(open_server.drop.iterdir()) != []


def test_the_network_is_out_of_reach(
    shut_in: Attacked, open_server: Attacked, listener: Listener
) -> None:
    call = (
        "CREATE EXTENSION IF NOT EXISTS dblink;"
        "SELECT dblink_connect('user=x hostaddr=127.0.0.1 connect_timeout=3 port=' || {port})"
    )
    assert shut_in.tried(call, port=listener.port).startswith("refused")
    assert listener.calls == 0

    outcome = open_server.tried(call, port=listener.port)
    assert listener.calls > 0, outcome


def test_the_environment_shows_no_secret(shut_in: Attacked) -> None:
    home = Path(shut_in.target.params["host"])
    assert shut_in.tried("COPY (SELECT 1) TO PROGRAM 'env'").startswith("refused")
    assert shut_in.tried("SELECT pg_read_file('/proc/self/environ')").count(SECRET) == 0

    read = 0
    for pid in processes_in(home):
        with suppress(FileNotFoundError, ProcessLookupError):  # a worker that has just ended
            assert SECRET.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
            read += 1
    assert read


def test_what_users_do_need_works(shut_in: Attacked) -> None:
    made = shut_in.tried(
        "CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 50000) i;"
        "CREATE INDEX ON t (m); CREATE EXTENSION hstore;"
        "SET parallel_setup_cost = 0; SET min_parallel_table_scan_size = 0;"
        "SET debug_parallel_query = 'on';"
        "CREATE DATABASE other TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
    )
    # CREATE DATABASE refuses to be in one transaction with the rest, and with it the rest is undone
    assert made == "refused: 25001"
    for statement in (
        "CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 50000) i",
        "CREATE INDEX ON t (m)",
        "CREATE EXTENSION hstore",
        "CREATE DATABASE other TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
        "SELECT to_char(timestamptz '2026-01-01 00:00Z' AT TIME ZONE 'Europe/Berlin', 'HH24')",
    ):
        assert not shut_in.tried(statement).startswith("refused")
    parallel = (
        "SET debug_parallel_query = 'on'; SET min_parallel_table_scan_size = 0;"
        "SET max_parallel_workers_per_gather = 2; SELECT count(*), max(m) FROM t"
    )
    assert not shut_in.tried(parallel).startswith("refused")


@as_root
def test_its_user_owns_nothing_else_and_nobody_else_can_enter(shut_in: Attacked) -> None:
    home = Path(shut_in.target.params["host"])
    uid = home.stat().st_uid
    assert uid not in (0, os.getuid())
    assert home.stat().st_mode & 0o077 == 0
    assert home.parent.stat().st_mode & 0o007 == 0
    assert (home.parent / "server.log").stat().st_uid == 0
    for entry in home.rglob("*"):
        assert entry.lstat().st_uid == uid


def test_the_log_holds_no_data(shut_in: Attacked) -> None:
    word = f"row-{uuid.uuid4().hex}"
    assert shut_in.tried("SELECT {word}::integer", word=word).startswith("refused")
    shut_in.tried(
        "CREATE TEMP TABLE u (v text PRIMARY KEY); INSERT INTO u VALUES ({word}), ({word})",
        word=word,
    )
    log = (Path(shut_in.target.params["host"]).parent / "server.log").read_text()
    assert "duplicate key" in log
    assert "DETAIL" not in log
