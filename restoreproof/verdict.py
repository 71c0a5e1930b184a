"""Three-valued judgement. What could not be judged is never a pass."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from restoreproof.exit_codes import ExitCode


class Verdict(StrEnum):
    """The outcome of a judgement."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code a command ends with on this verdict: 0, 1 or 2."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Verdict.PASSED: ExitCode.OK,
    Verdict.FAILED: ExitCode.BAD,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict over several: one failure fails all, and nothing judged is not a pass."""
    seen = set(verdicts)
    if Verdict.FAILED in seen:
        return Verdict.FAILED
    if Verdict.INCONCLUSIVE in seen or not seen:
        return Verdict.INCONCLUSIVE
    return Verdict.PASSED
