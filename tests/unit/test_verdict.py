from __future__ import annotations

import pytest

from restoreproof.exit_codes import ExitCode
from restoreproof.verdict import Verdict, worst

P, F, U = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [((P, P), P), ((P, U), U), ((U, F, P), F), ((F,), F), ((), U)],
)
def test_the_worst_verdict_wins_and_nothing_judged_is_no_pass(
    verdicts: tuple[Verdict, ...], expected: Verdict
) -> None:
    assert worst(verdicts) is expected


def test_verdicts_end_a_command_with_the_code_of_the_table() -> None:
    assert [v.exit_code for v in (P, F, U)] == [
        ExitCode.OK,
        ExitCode.BAD,
        ExitCode.INCONCLUSIVE,
    ]
