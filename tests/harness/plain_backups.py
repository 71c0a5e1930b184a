"""Plain backups of one small real database, made by ``pg_dump``, for tests of the verifier."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import pytest

from backup_lib.model import Fingerprint, Target
from backup_lib.stores.postgres.connection import connect
from backup_lib.stores.postgres.content import take
from backup_lib.work import Work
from tests.harness.postgres import PostgresServer

ROWS = {"public.orders": 1000, 'public."Ünï ""q"" -x"': 7}


@dataclass(frozen=True)
class Dumped:
    """A database, and how to dump it.

    Attributes:
        server: where it is.
        database: its name.
    """

    server: PostgresServer
    database: str

    def dump(self, path: Path, *options: str) -> Path:
        """``pg_dump`` into ``path``; ``-Fc`` where nothing else is asked for."""
        given = options or ("-Fc",)
        dsn = self.server.dsn(self.database)
        self.server.run("pg_dump", "--dbname", dsn, "--file", str(path.absolute()), *given)
        return path

    def dump_gzip(self, path: Path) -> Path:
        """SQL text, as ``pg_dump | gzip`` makes it."""
        dsn = self.server.dsn(self.database)
        text = self.server.run("pg_dump", "--dbname", dsn).stdout
        path.write_bytes(gzip.compress(text, mtime=0))
        return path

    def fingerprint(self) -> Fingerprint:
        """Of the source, taken at the source."""
        target = Target("postgres", self.server.params(self.database))
        return take(lambda: connect(target), jobs=1, work=Work())

    def execute(self, statement: str) -> None:
        with self.server.connect(self.database) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def dumped(postgres: PostgresServer) -> Dumped:
    """A database with two tables, one of them with an awkward name."""
    postgres.create_database()
    database = Dumped(postgres, postgres.databases[-1])
    database.execute("create table orders (id bigint primary key, item text, price numeric)")
    database.execute(
        "insert into orders select n, 'item ' || n, n * 1.25 from generate_series(1, 1000) n"
    )
    database.execute('create table "Ünï ""q"" -x" as select n from generate_series(1, 7) n')
    return database
