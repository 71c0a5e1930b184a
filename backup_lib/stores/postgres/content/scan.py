"""Reading all parts of all tables with several connections at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from backup_lib.stores.postgres.content.expressions import Sums, column_fields, columns_of, sums
from backup_lib.stores.postgres.content.session import (
    Connect,
    Session,
    opened,
    printable,
)
from backup_lib.stores.postgres.content.tables import Part
from backup_lib.stores.postgres.failures import query_failed
from backup_lib.work import Work
from restoreproof.errors import RestoreproofError, Unreachable
from restoreproof.events import Step

_TICK = 0.1
"""Seconds between two looks at the request to stop."""

_CANCEL_SECONDS = 5.0


def read_part(session: Session, part: Part) -> Sums:
    """Count and sums of one part of a table.

    Raises:
        Refused: row security hides rows from this role.
        Unreachable: no permission, or the server failed.
    """
    try:
        columns = columns_of(session, part.table.oid)
        fields = [text for column in columns for text in column_fields(column)]
        return Sums.of(session.row(sums(fields, part.source)))
    except psycopg.Error as error:
        raise query_failed(error, f"reading table {printable(part.table.name)}") from error


@dataclass(slots=True)
class _Shared:
    """What the workers share."""

    todo: queue.SimpleQueue[Part]
    done: queue.SimpleQueue[tuple[Part, Sums]] = field(default_factory=queue.SimpleQueue)
    blocked: queue.SimpleQueue[Part] = field(default_factory=queue.SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)
    connections: list[psycopg.Connection] = field(default_factory=list)

    def cancel(self) -> None:
        """End what the server is doing for us; the workers then see an error and leave."""
        self.stop.set()
        for connection in list(self.connections):
            if not connection.closed:
                connection.cancel_safe(timeout=_CANCEL_SECONDS)


def scan(
    parts: Iterable[Part],
    connect: Connect,
    snapshot: str | None,
    holder: Session,
    jobs: int,
    work: Work,
    step: Step,
) -> dict[int, Sums]:
    """Read all parts; answers the sums by table OID.

    Args:
        parts: in the order they shall be begun.
        connect: makes a further connection.
        snapshot: what every connection sees.
        holder: the session that holds the locks. It reads what a worker cannot, because somebody
            waits for an exclusive lock: behind that one a worker would wait for ever, and that one
            for the holder.
        jobs: number of connections.
        work: to be stopped by; its stall timeout is for the time in which no part is finished.
        step: told the bytes that are finished.

    Raises:
        Interrupted: it was asked for.
        Refused: row security hides rows from this role.
        Unreachable: the server failed, or nothing moved for too long.
    """
    todo: queue.SimpleQueue[Part] = queue.SimpleQueue()
    for part in parts:
        todo.put(part)
    shared = _Shared(todo)
    tally = _Tally(step)
    with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="fingerprint") as pool:
        workers = {
            pool.submit(_work, shared, connect, snapshot)
            for _ in range(min(max(1, jobs), todo.qsize()))
        }
        with _ended(shared):
            _follow(workers, shared, tally, work)
    while not shared.blocked.empty():
        work.cancel.check()
        part = shared.blocked.get()
        with cancelled_with(work, holder):
            tally.add(part, read_part(holder, part))
    return tally.sums


class _Tally:
    def __init__(self, step: Step) -> None:
        self.sums: dict[int, Sums] = {}
        self._step = step
        self._bytes = 0

    def add(self, part: Part, sums_of_part: Sums) -> None:
        oid = part.table.oid
        self.sums[oid] = self.sums.get(oid, Sums()) + sums_of_part
        self._bytes += part.size
        self._step.progress(self._bytes)


def _work(shared: _Shared, connect: Connect, snapshot: str | None) -> None:
    with opened(connect, snapshot) as session:
        shared.connections.append(session.connection)
        while not shared.stop.is_set():
            try:
                part = shared.todo.get_nowait()
            except queue.Empty:
                return
            if _lock_at_once(session, part):
                shared.done.put((part, read_part(session, part)))
            else:
                shared.blocked.put(part)


def _lock_at_once(session: Session, part: Part) -> bool:
    session.run("SAVEPOINT before_lock")
    try:
        session.run(f"LOCK TABLE ONLY {part.table.name} IN ACCESS SHARE MODE NOWAIT")
    except psycopg.errors.LockNotAvailable:
        session.run("ROLLBACK TO SAVEPOINT before_lock")
        return False
    except psycopg.Error as error:
        raise query_failed(error, f"reading table {printable(part.table.name)}") from error
    session.run("RELEASE SAVEPOINT before_lock")
    return True


def _follow(workers: set[Future[None]], shared: _Shared, tally: _Tally, work: Work) -> None:
    moved = work.clock.monotonic()
    while workers:
        finished, workers = wait(workers, timeout=_TICK, return_when=FIRST_COMPLETED)
        while not shared.done.empty():
            tally.add(*shared.done.get())
            moved = work.clock.monotonic()
        work.cancel.check()
        for worker in finished:
            _result(worker)
        if work.clock.monotonic() - moved > work.stall_timeout:
            raise Unreachable(
                f"the server finished nothing of the fingerprint for {work.stall_timeout:.0f} s",
                hint="look for what its queries wait for in pg_stat_activity",
            )


def _result(worker: Future[None]) -> None:
    try:
        worker.result()
    except RestoreproofError:
        raise
    except psycopg.Error as error:
        raise query_failed(error, "taking the fingerprint") from error


@contextmanager
def _ended(shared: _Shared) -> Iterator[None]:
    """Whatever way the block ends, the workers do."""
    try:
        yield
    except BaseException:
        shared.cancel()
        raise


@contextmanager
def cancelled_with(work: Work, session: Session) -> Iterator[None]:
    """Within the block, a request to stop cancels the session's query."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_TICK):
            if work.cancel.requested:
                session.connection.cancel_safe(timeout=_CANCEL_SECONDS)
                return

    watcher = threading.Thread(target=watch, name="fingerprint-watch", daemon=True)
    watcher.start()
    try:
        yield
    except (RestoreproofError, psycopg.Error):
        work.cancel.check()  # then the error is but the echo of the request
        raise
    finally:
        over.set()
        watcher.join()
