"""Tables kept as they are: locked before the dump begins, and until it has ended.

A snapshot does not keep the rows of a table from being thrown away. What is emptied or rewritten
after the fingerprint was taken, and before pg_dump has its own locks, looks empty to pg_dump though
it sees the same snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from backup_lib.stores.postgres.content.scan import cancelled_with
from backup_lib.stores.postgres.content.session import Connect, Session, opened, printable
from backup_lib.stores.postgres.content.tables import (
    Catalogue,
    Table,
    lock,
    measured,
    read_catalogue,
    refuse_changed,
)
from backup_lib.stores.postgres.failures import translated
from backup_lib.work import Work
from restoreproof.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Held:
    """Tables that nobody drops, empties or rewrites.

    Attributes:
        session: that holds the locks; used by one thread at a time.
        snapshot: that it sees; None where it is one of its own.
        catalogue: of the database.
        tables: of the catalogue with their sizes, largest first.
    """

    session: Session
    snapshot: str | None
    catalogue: Catalogue
    tables: list[Table]


@contextmanager
def held(
    connect: Connect, *, snapshot: str | None, work: Work, lock_timeout: float = 0
) -> Iterator[Held]:
    """Hold all tables until the block ends, with the locks that pg_dump takes too.

    Args:
        connect: makes a connection to the database, as a role that may read all of it.
        snapshot: the exported snapshot that the dump is taken from; None for a copy at rest.
        work: to be stopped by.
        lock_timeout: seconds to wait for a table that somebody alters; 0 for as long as it takes.

    Raises:
        Interrupted: it was asked for.
        Unreachable: the server failed, refuses this role, or somebody did not give up a lock; or
            the snapshot does not see the rows of a table that was changed since; or the locks were
            lost while the block ran.
    """
    with translated("holding the tables"), opened(connect, snapshot) as session:
        with cancelled_with(work, session):
            standby = bool(session.row("SELECT pg_is_in_recovery()")[0])
            catalogue = read_catalogue(session, standby=standby)
            session.run(f"SET LOCAL lock_timeout = {round(lock_timeout * 1000)}")
            _lock(session, catalogue.tables, lock_timeout)
            session.run("SET LOCAL lock_timeout = 0")
            if snapshot is not None:
                refuse_changed(session, catalogue.tables)
            tables = measured(session, catalogue.tables)
        yield Held(session, snapshot, catalogue, tables)
        session.run("SELECT")  # whoever lost the connection lost the locks


def _lock(session: Session, tables: tuple[Table, ...], lock_timeout: float) -> None:
    session.run("SAVEPOINT before_locks")
    try:
        lock(session, tables)
    except psycopg.errors.LockNotAvailable:
        session.run("ROLLBACK TO SAVEPOINT before_locks")
        raise Unreachable(
            f"the backup waited longer than {lock_timeout:g} s for its lock on "
            f"{_locked(session, tables)}",
            hint="somebody holds a lock on that table: wait for it, or raise lock_timeout",
        ) from None


def _locked(session: Session, tables: tuple[Table, ...]) -> str:
    """The first table whose lock is not to be had at once."""
    for table in tables:
        try:
            session.run(f"LOCK TABLE ONLY {table.name} IN ACCESS SHARE MODE NOWAIT")
        except psycopg.errors.LockNotAvailable:
            return printable(table.name)
    return "a table"
