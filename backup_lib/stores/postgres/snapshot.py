"""One exported snapshot, kept open: what is dumped and what is fingerprinted are the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from backup_lib.model import Target
from backup_lib.stores.postgres.connection import connect, translated, value

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An open transaction and the name under which others can join its view of the data.

    Attributes:
        connection: inside the transaction; used by one thread at a time.
        name: for ``SET TRANSACTION SNAPSHOT`` and ``pg_dump --snapshot``.
        moment: the point in time that the view is of, by the server's clock. On a replica that is
            behind or cut off, the commit time of the last transaction it has applied.
        replica: whether the server is a standby.
    """

    connection: psycopg.Connection
    name: str
    moment: datetime
    replica: bool


@contextmanager
def exported_snapshot(target: Target, application: str) -> Iterator[Snapshot]:
    """Open a transaction, export its snapshot, and keep both until the block ends.

    Works on a standby as well: what is exported there is what it has applied so far.

    Raises:
        Unreachable: no connection, or the server broke off.
    """
    with connect(target, application=application) as connection:
        with translated(target, "exporting a snapshot"):
            connection.execute(_BEGIN)
            name = str(value(connection, "SELECT pg_export_snapshot()"))
            replica, moment = _moment(connection)
        yield Snapshot(connection, name, moment, replica)
        with translated(target, "keeping the snapshot open"):
            connection.execute("COMMIT")


# A standby is up to date only while it is connected to its primary: what it has received and
# applied wholly may be of last week. Roles without pg_read_all_stats see no status. Where nothing
# was replayed since its start, the checkpoint it started from is the least that is known.
_MOMENT = """
SELECT pg_is_in_recovery(), statement_timestamp(), CASE
  WHEN pg_is_in_recovery()
   AND (pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
     OR NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE coalesce(status, '') <> 'stopping'))
  THEN coalesce(pg_last_xact_replay_timestamp(),
                (SELECT checkpoint_time FROM pg_control_checkpoint())) END
"""


def _moment(connection: psycopg.Connection) -> tuple[bool, datetime]:
    row = connection.execute(_MOMENT).fetchone()
    assert row is not None
    replica, now, applied = row
    return bool(replica), (applied or now).astimezone(UTC)
