"""Finding a connection pooler between us and the server.

A transaction pool (PgBouncer's usual mode) gives each transaction another backend: an exported
snapshot, session settings and pg_dump's locks do not survive that.
"""

from __future__ import annotations

import psycopg

from backup_lib.model import Target
from backup_lib.stores.postgres.connection import connect, place_of, value
from restoreproof.errors import Refused

_ROUNDS = 5


def refuse_transaction_pool(target: Target) -> None:
    """Make sure that sessions of ours keep their backend.

    A pooler answers the start of a session itself, and so tells a process id that is not the
    backend's. Whether it pools by transaction shows when two sessions that are open at the same
    time share a backend, or when one session's backend changes.

    Raises:
        Refused: sessions do not keep their backend.
        Unreachable: no connection.
    """
    with connect(target) as first:
        backend = value(first, "SELECT pg_backend_pid()")
        if backend == first.info.backend_pid:
            return
        for _ in range(_ROUNDS):
            if _shared(first, target):
                raise Refused(
                    f"{place_of(target)} is reached through a pooler in transaction mode",
                    hint="connect to the server itself, or to a pool with pool_mode = session",
                )


def _shared(first: psycopg.Connection, target: Target) -> bool:
    before = value(first, "SELECT pg_backend_pid()")
    with connect(target) as second:
        try:
            with second.transaction():
                other = value(second, "SELECT pg_backend_pid()")
                return other == before or value(first, "SELECT pg_backend_pid()") != before
        except psycopg.errors.ProtocolViolation:
            return True  # statement pooling allows no transaction at all
