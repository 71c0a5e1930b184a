"""Locks for whole runs, with an owner, a lease and a heartbeat.

The lock is a file that names its holder and never changes; its time of modification is the
heartbeat, so that a full disk costs nobody the lock. Who looks at it judges so:

- holder on this boot of this machine, in this process namespace: it holds exactly as long as the
  process (id and start time) lives. No clock is asked.
- elsewhere: it holds while the heartbeat is younger than the lease. When it looks older, or from
  the future, the clocks may differ: then it is watched for half a lease, in which a living holder
  renews at least once, and only one that did not move is taken over.

Taking, taking over and releasing happen in a guarded section, so that of several exactly one wins.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from restoreproof.atomic import PART_SUFFIX, space_error
from restoreproof.clock import SYSTEM_CLOCK, Clock, from_rfc3339, rfc3339
from restoreproof.errors import LockHeld, Refused, Unreachable
from restoreproof.guard import guard_of, guarded
from restoreproof.machine import Place, Process, here, lives, myself

_RECORD_LIMIT = 4096
_WATCH_LIMIT = 30.0
_DEFAULT_LEASE = timedelta(seconds=60)


class LockLost(Refused):
    """The lock was taken from us: the heartbeat stood still, or somebody removed the file."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock.

    Attributes:
        owner: what it is held for, in words.
        host: the machine's name.
        pid: its process id there.
        since: when it was taken.
        renewed: the last heartbeat.
        lease: how long after that it counts as alive for other machines.
    """

    owner: str
    host: str
    pid: int
    since: datetime
    renewed: datetime
    lease: timedelta

    @property
    def expires(self) -> datetime:
        """When it stops counting as alive for other machines, unless renewed."""
        return self.renewed + self.lease


@dataclass(frozen=True, slots=True)
class _Seen:
    """A lock file as it was read: the identity of the file, its heartbeat, its record."""

    inode: tuple[int, int]
    beat_ns: int
    token: str
    holder: Holder
    place: Place | None
    process: Process | None


class Lock:
    """A held lock. Made by :func:`hold`."""

    def __init__(self, path: Path, fd: int, clock: Clock) -> None:
        self._path = path
        self._fd = fd
        self._clock = clock

    def check(self) -> None:
        """Make sure that it is still ours; to be called right before anything is published.

        Raises:
            LockLost: it is not.
        """
        if not self.is_ours:
            raise LockLost(
                f"the lock {self._path.name} was lost to somebody else",
                hint="another run may be at work; this one publishes nothing more",
            )

    @property
    def is_ours(self) -> bool:
        """Whether the file under the lock's name is still the one we made."""
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.stat(follow_symlinks=False))
        except OSError:
            return False

    def renew(self) -> None:
        """Give a sign of life. A thread does so three times in a lease."""
        moment = int(self._clock.now().timestamp() * 1e9)
        os.utime(self._fd, ns=(moment, moment))  # by descriptor: never somebody else's file

    def release(self) -> None:
        """Remove the file if it is ours still. What cannot be removed counts as dead later on."""
        try:
            with contextlib.suppress(OSError, LockHeld, Unreachable), guarded(self._path):
                if self.is_ours:
                    self._path.unlink()
        finally:
            os.close(self._fd)


@contextmanager
def hold(
    path: Path,
    *,
    owner: str,
    lease: timedelta = _DEFAULT_LEASE,
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[Lock]:
    """Hold the lock ``path`` during the block; the file is removed at its end.

    Args:
        path: the lock file; its folder exists.
        owner: what it is held for, as others will read it: ``backup of set nightly``.
        lease: how long a holder on another machine counts as alive after its last sign of life,
            which it gives three times in that span.
        clock: wall time of heartbeat and record.

    Raises:
        LockHeld: another run holds it; says who, where, since when and until when.
        NoSpace, Unreachable: the file cannot be written.
    """
    lock = _acquire(path, owner, lease, clock)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(lease.total_seconds() / 3):
            with contextlib.suppress(OSError):  # check() tells when it matters
                lock.renew()

    heart = threading.Thread(target=beat, name=f"heartbeat of {path.name}", daemon=True)
    try:
        heart.start()
        yield lock
    finally:
        done.set()
        if heart.ident is not None:
            heart.join()
        lock.release()


def inspect(path: Path, *, clock: Clock = SYSTEM_CLOCK) -> Holder | None:
    """Who holds the lock now; None when nobody alive does.

    May take half a lease where a holder on another machine seems dead, see the module's text.

    Raises:
        Unreachable: the lock file cannot be read.
    """
    seen = _look(path)
    while seen is not None:
        if _is_alive(path, seen, clock):
            return seen.holder
        again = _look(path)
        if again is None or _same(again, seen):
            return None
        seen = again  # another run has it by now
    return None


def remains(path: Path) -> tuple[Path, Path]:
    """What a run that is killed while it takes or releases the lock may leave beside it."""
    return guard_of(path), _unnamed(path)


def _unnamed(path: Path) -> Path:
    return path.with_name(f".{path.name}{PART_SUFFIX}")


def _acquire(path: Path, owner: str, lease: timedelta, clock: Clock) -> Lock:
    dead: _Seen | None = None
    while True:
        with guarded(path):
            seen = _look(path)
            if seen is None or (dead is not None and _same(seen, dead)):
                if seen is not None:
                    path.unlink()
                return _create(path, owner, lease, clock)
        # Judged outside the section: it may take its time.
        if _is_alive(path, seen, clock):
            raise _held(path, seen.holder)
        dead = seen


def _create(path: Path, owner: str, lease: timedelta, clock: Clock) -> Lock:
    place, process = here(), myself()
    record = {
        "owner": owner,
        "host": place.host,
        "boot": place.boot,
        "namespace": place.namespace,
        "pid": process.pid,
        "started": process.started,
        "since": rfc3339(clock.now()),
        "lease": lease.total_seconds(),
        "token": secrets.token_hex(16),
    }
    # the name comes last: one without a record would block everybody for a lease
    unnamed = _unnamed(path)
    fd = -1
    try:
        unnamed.unlink(missing_ok=True)  # of a killed run: in the guarded section we are alone
        fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.write(fd, json.dumps(record).encode())
        lock = Lock(path, fd, clock)
        lock.renew()
        unnamed.rename(path)
    except BaseException as error:
        if fd >= 0:
            unnamed.unlink(missing_ok=True)
            os.close(fd)
        if isinstance(error, OSError):
            raise space_error(error, path.parent) or _unreadable(path, error) from error
        raise
    return lock


def _look(path: Path) -> _Seen | None:
    try:
        # a pipe in its place must not hold us up
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _unreadable(path, OSError(errno.EINVAL, "it is no file"))
        content = os.read(fd, _RECORD_LIMIT)
    finally:
        os.close(fd)
    renewed = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC)
    inode = (status.st_dev, status.st_ino)
    try:
        record = json.loads(content)
        return _Seen(
            inode=inode,
            beat_ns=status.st_mtime_ns,
            token=str(record["token"]),
            holder=Holder(
                owner=str(record["owner"]),
                host=str(record["host"]),
                pid=int(record["pid"]),
                since=from_rfc3339(record["since"]),
                renewed=renewed,
                lease=timedelta(seconds=float(record["lease"])),
            ),
            place=Place(str(record["host"]), str(record["boot"]), str(record["namespace"])),
            process=Process(int(record["pid"]), str(record["started"])),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        # Cut by a power failure, or not ours: the lease alone decides.
        nobody = Holder("an unknown run", "an unknown host", 0, renewed, renewed, _DEFAULT_LEASE)
        return _Seen(inode, status.st_mtime_ns, content.hex(), nobody, None, None)


def _same(one: _Seen, other: _Seen) -> bool:
    return (one.inode, one.beat_ns, one.token) == (other.inode, other.beat_ns, other.token)


def _is_alive(path: Path, seen: _Seen, clock: Clock) -> bool:
    place, process = seen.place, seen.process
    if place is not None and process is not None and place.is_certain and place == here():
        return lives(process)
    age = clock.now() - seen.holder.renewed
    lease = seen.holder.lease
    if -lease < age < lease:
        return True
    return _moves(path, seen, min(lease.total_seconds() / 2, _WATCH_LIMIT))


def _moves(path: Path, seen: _Seen, seconds: float) -> bool:
    """Whether the heartbeat of this very lock changes within that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(min(0.05, seconds / 10))
        now = _look(path)
        if now is None or now.token != seen.token:
            return False  # released, or another's: whoever asks looks again
        if now.beat_ns != seen.beat_ns:
            return True
    return False


def _held(path: Path, holder: Holder) -> LockHeld:
    return LockHeld(
        f"{path.name} is held by {holder.owner}"
        f" (process {holder.pid} on {holder.host}, since {holder.since:%Y-%m-%d %H:%M:%S} UTC)",
        hint="wait until it ends; if that run is dead, the lock is free"
        f" after {holder.expires:%H:%M:%S} UTC at the latest",
    )


def _unreadable(path: Path, error: OSError) -> Unreachable:
    reason = (error.strerror or "unknown reason").lower()
    return Unreachable(f"the lock {path.name} cannot be used: {reason}", hint=f"see {path}")
