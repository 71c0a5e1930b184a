"""The connections that content is read through: one snapshot, and every setting pinned that counts.

A setting counts when it changes the text form of a value, what a name resolves to, which rows a
query sees, or how the server may be made to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import psycopg
from psycopg.adapt import Loader
from psycopg.pq import Format

Connect: TypeAlias = "Callable[[], psycopg.Connection]"
Row: TypeAlias = tuple[object, ...]

_PINS = {
    # what values look like; as pg_dump has them
    "extra_float_digits": "3",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    # what names mean and look like
    "search_path": "",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    # a role that may not see every row fails loudly instead of being shown a part
    "row_security": "off",
    # how the work is done
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "enable_tidscan": "on",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_TRANSACTION_TIMEOUT_SINCE = 17_00_00

_WITHOUT_CONVERSION = ("SQL_ASCII", "MULE_INTERNAL")
"""Server encodings that have no sure way to UTF-8."""


class _Names(Loader):
    """Text that need not be UTF-8, since a database in SQL_ASCII takes any bytes for a name."""

    format = Format.TEXT

    def load(self, data: bytes | bytearray | memoryview) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


class Session:
    """A connection inside the snapshot's transaction."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.major = connection.info.server_version // 10000

    def rows(self, query: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """All rows of a query; the text may hold identifiers, quoted by the server itself."""
        cursor = self.connection.execute(_encoded(query), parameters or None)
        return cursor.fetchall()

    def row(self, query: str, parameters: tuple[object, ...] = ()) -> Row:
        """The one row of a query."""
        return self.rows(query, parameters)[0]

    def run(self, statement: str) -> None:
        """A statement without an answer."""
        self.connection.execute(_encoded(statement))

    def stream(
        self, query: str, parameters: tuple[object, ...] = (), *, batch: int = 2000
    ) -> Iterator[Row]:
        """The rows of a query, few at a time in memory."""
        with self.connection.cursor(name="restoreproof") as cursor:
            cursor.itersize = batch
            cursor.execute(_encoded(query), parameters or None)
            yield from cursor


def _encoded(query: str) -> bytes:
    return query.encode("utf-8", "surrogateescape")


def printable(name: str) -> str:
    """A name from a :class:`Session` as it may be written down: always valid UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@contextmanager
def opened(connect: Connect, snapshot: str | None) -> Iterator[Session]:
    """A session that sees ``snapshot`` (or one of its own); rolled back and closed at the end."""
    connection = connect()
    try:
        connection.autocommit = True
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot is not None:
            connection.execute(b"SET TRANSACTION SNAPSHOT '%s'" % snapshot.encode())
        encoding = connection.info.parameter_status("server_encoding")
        pins = dict(_PINS)
        pins["client_encoding"] = "SQL_ASCII" if encoding in _WITHOUT_CONVERSION else "UTF8"
        if connection.info.server_version >= _TRANSACTION_TIMEOUT_SINCE:
            pins["transaction_timeout"] = "0"
        connection.execute(
            b"; ".join(b"SET LOCAL %s = '%s'" % (k.encode(), v.encode()) for k, v in pins.items())
        )
        for kind in ("text", "varchar", "name"):
            connection.adapters.register_loader(kind, _Names)
        yield Session(connection)
    finally:
        connection.close()
