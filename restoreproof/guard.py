"""A short critical section between processes: read, judge and write a small file.

An flock on a file beside it. Held for milliseconds; the kernel frees it when its holder dies.
For work that takes longer see :mod:`restoreproof.locks`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from restoreproof.errors import LockHeld, Unreachable


def guard_of(path: Path) -> Path:
    """The file that is locked for ``path``; what a killed holder leaves, the next one removes."""
    return path.with_name(f".{path.name}.guard")


@contextmanager
def guarded(path: Path, *, patience: float = 10.0) -> Iterator[None]:
    """Let nobody else be in a section for the same ``path`` at the same time.

    Works between processes and between threads; not re-entrant.

    Args:
        path: the file to be guarded; its folder exists. ``.<name>.guard`` comes and goes beside it.
        patience: seconds to wait for the others.

    Raises:
        LockHeld: somebody stays in the section for longer than that.
        Unreachable: the folder is missing, not writable, or its file system cannot lock.
    """
    guard = guard_of(path)
    try:
        fd = _enter(guard, time.monotonic() + patience)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise Unreachable(
            f"{path.name} cannot be locked: {reason}",
            hint=f"check that {path.parent} exists and is writable for this user",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            guard.unlink()  # by its holder only, who is alone here
        os.close(fd)


def _enter(guard: Path, deadline: float) -> int:
    pause = 0.001
    while True:
        fd = os.open(guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(fd, guard):
                return fd  # else it was removed between open and flock: begin anew
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                os.close(fd)
                raise
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        if time.monotonic() > deadline:
            raise LockHeld(
                f"{guard.name} is held by another process that does not move on",
                hint="look for a stopped or hanging restoreproof",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def _is(fd: int, path: Path) -> bool:
    """Whether the open file is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False
