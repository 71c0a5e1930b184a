"""What it means when a disposable server fails: nothing about a backup, unless it names damage."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from backup_lib.sandboxes.base import ServerDied, ServerRecipe
from backup_lib.sandboxes.process.budget import Budget
from restoreproof.errors import Inconclusive, JudgedBad, NoSpace, RestoreproofError, Unreachable
from restoreproof.process import Child

_LOG_LINES = 5
_LAST_ANSWER = 10.0
_PAUSE = 0.05
_DISK_FULL = os.strerror(errno.ENOSPC)


class NotStarted(Inconclusive):
    """A disposable server did not start."""


def not_started(kind: str, what: str, log: str) -> RestoreproofError:
    """The error for a server that did not start, with the last lines of its log as the hint."""
    if _DISK_FULL in log:
        return _no_space()
    last = [line.strip() for line in log.splitlines() if line.strip()][-_LOG_LINES:]
    return NotStarted(
        f"the disposable {kind} server did not start: {what}",
        hint=f"its last words: {' | '.join(last)}" if last else "see what backup.doctor says",
    )


def cause_of(
    error: Exception,
    recipe: ServerRecipe,
    child: Child,
    budget: Budget,
    answers: Callable[[], bool],
) -> RestoreproofError | None:
    """The trouble with the server behind an error of whoever used it; None where there is none.

    A connection breaks before its server is seen to have ended: until then it has to answer.
    """
    if isinstance(error, RestoreproofError) and not isinstance(error, JudgedBad | Unreachable):
        return None
    budget.look()
    if budget.error is not None:
        return budget.error
    if _DISK_FULL in child.log_tail():
        return _no_space()
    deadline = time.monotonic() + _LAST_ANSWER
    while (code := child.poll()) is None and time.monotonic() < deadline:
        if answers():
            return None
        time.sleep(_PAUSE)
    if code is not None and code > 0 and (damage := recipe.damage_in(child.log_tail())):
        return JudgedBad(
            f"the {recipe.kind} server ended while it loaded the backup: {damage}",
            hint="use an older backup, and find out what damaged this one",
        )
    ended = "does not answer any more" if code is None else f"ended with status {code}"
    return ServerDied(
        f"the disposable {recipe.kind} server {ended} while it was in use",
        hint="run it again; the system may be short of memory: see the kernel's log",
    )


def _no_space() -> NoSpace:
    return NoSpace(
        "the disposable server found its disk full",
        hint="make room, or set folder in the sandbox's section to a disk that has some",
    )
