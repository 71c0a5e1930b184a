"""Looking after the source during the dump: who queues behind us, how old the snapshot is."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from backup_lib.model import Target
from backup_lib.stores.postgres.connection import connect, place_of, translated
from restoreproof.errors import Refused
from restoreproof.events import Listener, Warned
from restoreproof.process import Cancellation

INTERVAL = 1.0
"""Seconds between two looks."""

# Sessions that wait for ours, each with the lock it asks for and how many wait behind it.
# A waiting ACCESS EXCLUSIVE lock makes everybody else on that table wait too.
_QUEUE = """
WITH ours AS (SELECT pid FROM pg_stat_activity WHERE application_name = %(name)s),
waiting AS (
    SELECT l.pid, l.mode, l.relation, pg_blocking_pids(l.pid) AS blockers
    FROM pg_locks l WHERE NOT l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
SELECT w.pid, w.mode, coalesce(w.relation::regclass::text, '?'), a.usename, a.query,
       (SELECT count(DISTINCT b.pid) FROM waiting b WHERE w.pid = ANY (b.blockers))
FROM waiting w LEFT JOIN pg_stat_activity a USING (pid)
WHERE w.blockers && ARRAY(SELECT pid FROM ours) AND w.pid NOT IN (SELECT pid FROM ours)
ORDER BY w.pid
"""

# What moves while pg_dump works though no byte of it arrives: its statements and its locks, or a
# statement that is at work, as against one that waits for a lock or for us.
_PULSE = """
SELECT array_agg((a.pid, a.query_start,
                  (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid))::text ORDER BY a.pid),
       CASE WHEN bool_or(state = 'active' AND coalesce(wait_event_type, '') NOT IN
                         ('Lock', 'Client', 'IPC', 'Extension')) THEN clock_timestamp() END
FROM pg_stat_activity a WHERE application_name = %(name)s
"""


class Watcher:
    """Watches from a connection of its own until it is told to stop.

    Attributes:
        pulse: changes whenever the sessions of this backup do something on the server.
    """

    def __init__(
        self,
        target: Target,
        application: str,
        emit: Listener,
        *,
        max_age: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._application = application
        self._emit = emit
        self._max_age = max_age
        self._monotonic = monotonic
        self._warned: set[tuple[int, bool]] = set()
        self._done = Cancellation()
        self.pulse: object = None

    def stop(self) -> None:
        """The backup is complete."""
        self._done.request()

    def watch(self, cancel: Cancellation) -> None:
        """Look once a second.

        Raises:
            Refused: the snapshot is older than allowed.
            Unreachable: the server broke off.
        """
        begun = self._monotonic()
        with (
            connect(self._target, application=f"{self._application}-watch") as connection,
            translated(self._target, "watching the locks"),
        ):
            while not self._done.requested and not cancel.requested:
                self._check_age(self._monotonic() - begun)
                self._look(connection)
                self._pause(cancel)

    def _pause(self, cancel: Cancellation) -> None:
        until = time.monotonic() + INTERVAL
        while time.monotonic() < until and not (self._done.requested or cancel.requested):
            time.sleep(0.05)

    def _check_age(self, age: float) -> None:
        if self._max_age is not None and age > self._max_age:
            raise Refused(
                f"the snapshot of {place_of(self._target)} is older than the "
                f"{self._max_age:g} s that max_snapshot_age allows; the dump was broken off",
                hint="it keeps VACUUM from removing dead rows: raise the limit, back up from a "
                'replica, or use format = "directory" with more jobs',
            )

    def _look(self, connection: psycopg.Connection) -> None:
        name = {"name": self._application}
        self.pulse = connection.execute(_PULSE, name).fetchone()
        for pid, mode, relation, user, query, behind in connection.execute(_QUEUE, name):
            if (pid, behind > 0) in self._warned:
                continue
            self._warned |= {(pid, False), (pid, behind > 0)}
            queue = f", and {behind} more wait behind it" if behind else ""
            self._emit(
                Warned(
                    f"{user or 'a role'} (process {pid}) waits for {mode} on {relation} "
                    f"until the backup is done{queue}",
                    hint=f"SELECT pg_cancel_backend({pid}), or break the backup off",
                    details=(" ".join((query or "").split())[:200],),
                )
            )
