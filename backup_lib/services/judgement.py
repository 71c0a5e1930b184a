"""Pure judgement of the lower rungs: no I/O, only numbers and moments in, a result out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

from backup_lib.model import Rung, RungResult
from restoreproof.errors import Inconclusive, NoSpace, Refused, Unreachable, UsageError
from restoreproof.verdict import Verdict

HINDRANCES = (Unreachable, Inconclusive, NoSpace, Refused, UsageError)
"""Errors that say nothing about a backup; UsageError: a tool or a library is missing here."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far in the future a backup may lie before the clocks are said to disagree."""

HISTORY = 7
"""How many earlier sets the size is compared with."""


def rungs_asked(depth: Rung, *, assertions: bool) -> tuple[Rung, ...]:
    """The rungs up to ``depth``, lowest first; ``assertions`` only where there are some."""
    return tuple(
        rung
        for rung in Rung
        if rung.height <= depth.height and (assertions or rung is not Rung.ASSERTIONS)
    )


def judge_freshness(moment: datetime, now: datetime, max_age: timedelta | None) -> RungResult:
    """Whether content of ``moment`` is recent enough at ``now``.

    None as ``max_age`` is for a backup that was named: its age is told, and nothing demanded of it.

    A moment in the future says that one of two clocks is wrong, not that the backup is fresh.
    """
    age = now - moment
    if age < -CLOCK_TOLERANCE:
        return RungResult(
            Rung.FRESH,
            Verdict.INCONCLUSIVE,
            f"the backup is dated {span(-age)} in the future",
            "compare the clock of this machine with that of the one that made the backup",
        )
    age = max(age, timedelta())
    if max_age is None:
        return RungResult(
            Rung.FRESH, Verdict.PASSED, f"{span(age)} old; no limit for a backup that was named"
        )
    if age > max_age:
        return RungResult(
            Rung.FRESH,
            Verdict.FAILED,
            f"the newest backup is {span(age)} old, allowed are {span(max_age)}",
            "see why the backup job has not run: inv backup.run, then its log",
        )
    return RungResult(Rung.FRESH, Verdict.PASSED, f"{span(age)} old, allowed are {span(max_age)}")


def judge_size(
    size: int, history: Sequence[int], *, min_size: int = 1, max_drop: float = 0.5
) -> RungResult:
    """Whether ``size`` bytes is plausible.

    Args:
        size: stored bytes of the store's artifacts.
        history: the same of earlier sets, newest first; the median of at most
            :data:`HISTORY` of them is what to expect.
        min_size: the least that is ever right, in bytes.
        max_drop: the fraction of the expected size that may be missing, 0 to 1.
    """
    if size < max(min_size, 1):
        return RungResult(
            Rung.SIZE,
            Verdict.FAILED,
            f"{size} bytes stored, at least {max(min_size, 1)} expected",
            "the dump is empty or nearly so: look at the source, and at the log of the backup",
        )
    recent = history[:HISTORY]
    if not recent:
        return RungResult(
            Rung.SIZE, Verdict.PASSED, f"{size} bytes; no earlier backup to compare with"
        )
    expected = median(recent)
    if expected and size < expected * (1 - max_drop):
        return RungResult(
            Rung.SIZE,
            Verdict.FAILED,
            f"{size} bytes, {1 - size / expected:.0%} less than the usual {expected:.0f}",
            "if the data really shrank, lower size_drop for this set, or wait until the new size "
            "is the usual one",
        )
    share = f"{size / expected:.0%} of" if expected else "unlike"
    return RungResult(Rung.SIZE, Verdict.PASSED, f"{size} bytes, {share} the usual {expected:.0f}")


def span(duration: timedelta) -> str:
    """A duration for people: ``45 s``, ``12 min``, ``26 h``, ``3.5 days``."""
    seconds = duration.total_seconds()
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.1f} days"
