"""The verification ladder over a plain file that some other tool made.

``exists → fresh → size → integrity → restore → content``, as for a set, with what a plain file
offers: its age is asked only where there is a limit, its content is compared only where there is
something to compare with. A stale or small file is still read and restored; both facts are worth
knowing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from backup_lib.model import (
    Fingerprint,
    Rung,
    RungResult,
    SetVerification,
    StoreVerification,
)
from backup_lib.sandboxes.base import Sandbox
from backup_lib.services.judgement import judge_freshness, judge_size
from backup_lib.services.plain_candidates import PlainBackup, find_backup
from backup_lib.services.plain_files import PlainKind, check_integrity
from backup_lib.services.plain_restore import FileRehearsal, rehearse_file
from backup_lib.services.plain_types import PlainType
from backup_lib.services.rehearsal import not_reached
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad, RestoreproofError, Unreachable
from restoreproof.verdict import Verdict

_NAMED = 5
"""How many of the newer files that are no backup are named."""


@dataclass(frozen=True, slots=True)
class PlainPlan:
    """One plain backup, and what is demanded of it.

    Attributes:
        name: for results and alerts.
        path: a file, a folder, or a pattern; of several the newest complete one.
        type: what it has to be.
        max_age: None where any age will do.
        min_size: stored bytes.
        expected: the fingerprint that the source had.
        depth: the highest rung to climb to; restore or content by default.
    """

    name: str
    path: Path
    type: PlainType = field(default_factory=PlainType)
    max_age: timedelta | None = None
    min_size: int = 1
    expected: Fingerprint | None = None
    depth: Rung | None = None

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The rungs that give a result, lowest first."""
        top = Rung.RESTORE if self.expected is None else Rung.CONTENT
        highest = min((self.depth or top).height, top.height)
        return tuple(
            rung
            for rung in Rung
            if rung.height <= highest and (rung is not Rung.FRESH or self.max_age is not None)
        )


@dataclass(slots=True)
class PlainLadder:
    """Judges one plain backup, rung by rung or all the way up.

    Nothing here raises for a bad backup: the results say it.

    Attributes:
        plan: which backup, and what is demanded.
        sandbox: makes the sandbox when the climb gets that far.
        work: listeners, clock, limits.
        rehearsal: of the last restore.
    """

    plan: PlainPlan
    sandbox: Callable[[], Sandbox]
    work: Work
    rehearsal: FileRehearsal | None = None
    _found: PlainBackup | RungResult | None = None

    def climb(self) -> SetVerification:
        """Climb as far as the plan says; every rung asked for has a result."""
        results: list[RungResult] = []
        stopped: RungResult | None = None
        judges = {
            Rung.EXISTS: self.exists,
            Rung.FRESH: self.fresh,
            Rung.SIZE: self.size,
            Rung.INTEGRITY: self.integrity,
        }
        asked = self.plan.rungs
        for rung in asked:
            if stopped:
                results.append(not_reached(rung, stopped))
            elif rung in judges:
                result = judges[rung]()
                results.append(result)
                if _stops(result):
                    stopped = result
            elif rung is Rung.RESTORE:
                results += self.restore()
        return self._summary(results)

    def exists(self) -> RungResult:
        """Whether there is one, and which."""
        found = self._backup()
        if isinstance(found, RungResult):
            return found
        told = f"{found.path.name}, {found.size} bytes"
        if found.passed_over:
            told += f"; newer, and passed over: {', '.join(found.passed_over[:_NAMED])}"
            more = len(found.passed_over) - _NAMED
            told += f" and {more} more" if more > 0 else ""
        return RungResult(Rung.EXISTS, Verdict.PASSED, told)

    def fresh(self) -> RungResult:
        """Whether it is young enough."""
        found = self._backup()
        if isinstance(found, RungResult):
            return found
        result = judge_freshness(
            found.moment, self.work.clock.now(), self.plan.max_age or timedelta.max
        )
        if result.verdict is Verdict.FAILED:
            hint = "see why the job that makes it has not run, and where it writes to"
            if found.moment != found.modified:
                hint = "it was copied since; see why the job that makes it has not run"
            result = replace(result, hint=hint)
        return result

    def size(self) -> RungResult:
        """Whether it is large enough."""
        found = self._backup()
        if isinstance(found, RungResult):
            return found
        return judge_size(found.size, (), min_size=self.plan.min_size)

    def integrity(self) -> RungResult:
        """Whether every byte of it is as its format says."""
        found = self._backup()
        if isinstance(found, RungResult):
            return found
        kind = self._kind(found, Rung.INTEGRITY)
        if isinstance(kind, RungResult):
            return kind
        return check_integrity(found.path, kind, self.work)

    def restore(self) -> tuple[RungResult, ...]:
        """Restore it, and compare its content where there is an expected fingerprint."""
        found = self._backup()
        if isinstance(found, RungResult):
            return (found,)
        kind = self._kind(found, Rung.RESTORE)
        if isinstance(kind, RungResult):
            return self._above(kind)
        if not found.size:
            empty = JudgedBad("it is empty", hint="look what went wrong when it was made")
            return self._above(_result(Rung.RESTORE, Verdict.FAILED, empty))
        begun = self.work.clock.monotonic()
        try:
            sandbox = self.sandbox()
        except RestoreproofError as error:
            return self._above(_result(Rung.RESTORE, Verdict.INCONCLUSIVE, error))
        self.rehearsal = rehearse_file(
            found.path, kind, sandbox, self.work, expected=self.plan.expected
        )
        first, *more = self.rehearsal.rungs
        if not first.seconds:
            first = replace(first, seconds=self.work.clock.monotonic() - begun)
        return (first, *more) if more else self._above(first)

    def _above(self, stopped: RungResult) -> tuple[RungResult, ...]:
        """``stopped``, and that the content was not reached where it was asked for."""
        if self.plan.expected is None:
            return (stopped,)
        return (stopped, not_reached(Rung.CONTENT, stopped))

    def _backup(self) -> PlainBackup | RungResult:
        if self._found is None:
            try:
                self._found = find_backup(self.plan.path, self.plan.type.admits)
            except JudgedBad as bad:
                self._found = _result(Rung.EXISTS, Verdict.FAILED, bad)
            except Inconclusive as unknown:
                self._found = _result(Rung.EXISTS, Verdict.INCONCLUSIVE, unknown)
        return self._found

    def _kind(self, found: PlainBackup, rung: Rung) -> PlainKind | RungResult:
        try:
            return self.plan.type.of(found.path)
        except JudgedBad as bad:
            return _result(rung, Verdict.FAILED, bad)
        except (Inconclusive, Unreachable) as unknown:
            return _result(rung, Verdict.INCONCLUSIVE, unknown)

    def _summary(self, results: list[RungResult]) -> SetVerification:
        found, kind = self._found, ""
        if isinstance(found, PlainBackup):
            seen = self._kind(found, Rung.INTEGRITY)
            kind = str(seen) if isinstance(seen, PlainKind) else ""
        comparison = self.rehearsal.comparison if self.rehearsal else None
        return SetVerification(
            self.plan.name,
            found.path.name if isinstance(found, PlainBackup) else "",
            self.work.clock.now(),
            self.plan.rungs[-1],
            (StoreVerification("", kind, tuple(results), comparison),),
        )


def _stops(result: RungResult) -> bool:
    """What a format offers nothing to judge by is still restored: that may tell more."""
    if result.rung is Rung.EXISTS:
        return result.verdict is not Verdict.PASSED
    return result.rung is Rung.INTEGRITY and result.verdict is Verdict.FAILED


def _result(rung: Rung, verdict: Verdict, error: RestoreproofError) -> RungResult:
    return RungResult(rung, verdict, error.message, error.hint)
