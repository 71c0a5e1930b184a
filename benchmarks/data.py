"""The data that is backed up: half compressible rows, half random bytes, size by argument."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg

MIB = 1 << 20
_ROW_BYTES = 148
"""Of a row of ``orders`` or ``events`` on its page, measured."""
_DOCUMENT = 16 << 10
_BATCH = 500_000


def fill(connection: psycopg.Connection, size: int) -> int:
    """Make four tables with their keys and indexes: ``size`` bytes of table data in all.

    Half of it are rows as applications write them (numbers, times, names, JSON), in ``orders`` and
    ``events``; half are random bytes that nothing compresses, in ``documents`` and ``images``.

    Returns:
        bytes of table data as the server counts them, without the indexes.
    """
    rows = size // 4 // _ROW_BYTES
    _rows(connection, "orders", rows)
    _rows(connection, "events", rows)
    _documents(connection, "documents", size // 4, _DOCUMENT)
    _documents(connection, "images", size // 4, _DOCUMENT * 4)
    connection.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
    connection.execute("CREATE INDEX ON orders (customer, placed)")
    connection.execute("CREATE INDEX ON orders (reference)")
    connection.execute("ALTER TABLE events ADD PRIMARY KEY (id)")
    connection.execute("CREATE INDEX ON events (placed)")
    connection.execute("ALTER TABLE documents ADD PRIMARY KEY (id)")
    connection.execute("ALTER TABLE images ADD PRIMARY KEY (id)")
    connection.execute("VACUUM (FREEZE, ANALYZE)")
    connection.execute("CHECKPOINT")
    found = connection.execute(
        "SELECT sum(pg_table_size(c.oid)) FROM pg_class c"
        " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
    ).fetchone()
    assert found is not None
    return int(found[0])


def _rows(connection: psycopg.Connection, table: str, rows: int) -> None:
    connection.execute(
        f"CREATE TABLE {table} (id bigint NOT NULL, customer integer NOT NULL,"
        " placed timestamptz NOT NULL, amount numeric(10, 2) NOT NULL, state text NOT NULL,"
        " reference text NOT NULL, item jsonb NOT NULL)"
    )
    for first in range(0, rows, _BATCH):
        last = min(first + _BATCH, rows)
        connection.execute(
            f"INSERT INTO {table} SELECT i, i * 7919 % 100000,"
            " timestamptz '2026-01-01 00:00:00+00' + i * interval '1.7 seconds',"
            " (i * 31 % 1000000) / 100.0,"
            " (ARRAY['new', 'paid', 'shipped', 'returned'])[1 + i % 4],"
            " substr(md5((i * 104729)::text), 1, 12),"
            " jsonb_build_object('sku', 'A-' || i % 5000, 'colour',"
            " (ARRAY['red', 'green', 'blue'])[1 + i % 3], 'quantity', 1 + i % 9)"
            f" FROM generate_series({first + 1}::bigint, {last}) i"
        )


def _documents(connection: psycopg.Connection, table: str, size: int, each: int) -> None:
    connection.execute(
        f"CREATE TABLE {table} (id bigint NOT NULL, name text NOT NULL, body bytea NOT NULL)"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.set_types(["int8", "text", "bytea"])
        for number, body in enumerate(_random(size, each), 1):
            copy.write_row((number, f"{table}/{number:08}.bin", body))


def _random(size: int, each: int) -> Iterator[bytes]:
    """Random pieces of ``each`` bytes, a half more or less."""
    left = size
    while left > 0:
        piece = os.urandom(each // 2 + int.from_bytes(os.urandom(2), "big") * each // 65536)
        left -= len(piece)
        yield piece
