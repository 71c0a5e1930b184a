from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest

from tests.harness.postgres import MakeServer, PostgresServer


def test_a_server_runs_without_privileges_behind_a_private_socket(
    postgres: PostgresServer,
) -> None:
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0
    assert postgres.data.stat().st_mode & 0o777 == 0o700
    assert postgres.home.stat().st_mode & 0o777 == 0o700
    with postgres.connect() as connection:
        row = connection.execute("show listen_addresses").fetchone()
    assert row == ("",)


def test_databases_are_fresh_and_take_options(postgres: PostgresServer) -> None:
    first = postgres.create_database()
    second = postgres.create_database(encoding="LATIN1", locale="C")
    assert first != second
    with psycopg.connect(second) as connection:
        assert connection.execute("show server_encoding").fetchone() == ("LATIN1",)


def test_a_server_with_a_password_over_tcp_refuses_the_wrong_one(make_server: MakeServer) -> None:
    server = make_server(tcp=True, password="correct", wal_level="logical", max_wal_senders="4")
    with server.connect() as connection:
        assert connection.execute("show wal_level").fetchone() == ("logical",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn(password="wrong"))
    assert server.run("pg_dump", "--schema-only", server.dsn()).stdout


def test_nothing_is_left_of_a_stopped_server(make_server: MakeServer) -> None:
    server = make_server()
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)
