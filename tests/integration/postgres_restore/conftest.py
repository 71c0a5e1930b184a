"""The shop that is backed up, and the server that it is restored into."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_lib.model import Target
from backup_lib.work import Work
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import MakeServer, PostgresServer
from tests.harness.restores import NASTY, back_up, place


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture(scope="module")
def other(make_module_server: MakeServer) -> PostgresServer:
    """The server that is restored into."""
    return make_module_server()


@pytest.fixture
def reader(other: PostgresServer) -> None:
    """The role that a policy of the source names; a restore without roles needs it there."""
    with other.connect() as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )


@pytest.fixture(scope="module")
def shop(make_module_server: MakeServer) -> PostgresServer:
    """A server with a database of a bit of everything, owned and granted."""
    server = make_module_server()
    server.create_database("shop")
    with server.connect("shop") as connection:
        for role in ("clerk", "reader"):
            connection.execute(f"CREATE ROLE {role}")
        connection.execute(
            """
            ALTER DATABASE shop OWNER TO clerk;
            ALTER DATABASE shop SET work_mem = '5MB';
            COMMENT ON DATABASE shop IS 'the shop';
            CREATE SCHEMA "odd schema";
            CREATE TYPE mood AS ENUM ('good', 'bad');
            CREATE TABLE customers (id serial PRIMARY KEY, name text UNIQUE, mood mood);
            CREATE TABLE orders (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                customer int REFERENCES customers, total numeric DEFAULT 1.50);
            CREATE INDEX orders_by_customer ON orders (customer);
            CREATE TABLE events (at date, what text) PARTITION BY RANGE (at);
            CREATE TABLE events_26 PARTITION OF events
                FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
            CREATE VIEW totals AS SELECT customer, sum(total) FROM orders GROUP BY 1;
            CREATE MATERIALIZED VIEW best AS SELECT max(total) AS m FROM orders;
            INSERT INTO customers (name, mood) SELECT 'c' || n, 'good' FROM generate_series(1,50) n;
            INSERT INTO orders (customer) SELECT n % 50 + 1 FROM generate_series(1, 500) n;
            INSERT INTO events VALUES ('2026-05-05', 'born');
            ALTER TABLE orders OWNER TO clerk;
            GRANT SELECT ON orders TO reader;
            ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
            CREATE POLICY mine ON orders TO reader USING (customer = 1);
            SELECT lo_from_bytea(0, 'large object');
            CREATE EXTENSION hstore;
            """
        )
        for name in NASTY:
            quoted = '"' + name.replace('"', '""') + '"'
            connection.execute(f"CREATE TABLE {quoted} (n int PRIMARY KEY, t text)".encode())
            connection.execute(f"INSERT INTO {quoted} VALUES (1, 'x')".encode())
        connection.execute('CREATE TABLE "odd schema".orders AS SELECT 1 AS n')
    return server


@pytest.fixture(scope="module")
def whole(shop: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> MemorySource:
    return back_up(shop, "shop", Work(scratch=tmp_path_factory.mktemp("scratch"), jobs=2))


@pytest.fixture
def source(whole: MemorySource) -> MemorySource:
    """A backup of the shop, which a test may damage."""
    return copy.deepcopy(whole)


@pytest.fixture
def lent(other: PostgresServer) -> Iterator[Target]:
    """An empty database of a role that may make none."""
    other.create_database("lent")
    with other.connect("lent") as connection:
        connection.execute("CREATE ROLE tenant LOGIN")
        connection.execute("ALTER DATABASE lent OWNER TO tenant")
    yield place(other, "lent", user="tenant")
    other.drop_database("lent")
    with other.connect() as connection:
        connection.execute("DROP ROLE tenant")
