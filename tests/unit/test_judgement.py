from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_lib.services.judgement import judge_freshness, judge_size, span
from restoreproof.verdict import Verdict

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DAY = timedelta(hours=24)


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (timedelta(), Verdict.PASSED),
        (DAY, Verdict.PASSED),
        (DAY + timedelta(seconds=1), Verdict.FAILED),
        (timedelta(minutes=-4), Verdict.PASSED),
        (timedelta(minutes=-6), Verdict.INCONCLUSIVE),
    ],
)
def test_freshness_is_judged_by_age_and_a_future_backup_is_not_fresh(
    age: timedelta, verdict: Verdict
) -> None:
    assert judge_freshness(NOW - age, NOW, DAY).verdict is verdict


def test_a_stale_backup_says_both_ages() -> None:
    result = judge_freshness(NOW - timedelta(days=3), NOW, DAY)
    assert result.reason == "the newest backup is 3.0 days old, allowed are 24 h"
    assert result.hint


def test_of_a_named_backup_the_age_is_told_and_only_a_future_one_is_doubted() -> None:
    old = judge_freshness(NOW - timedelta(days=300), NOW, None)
    assert old.verdict is Verdict.PASSED
    assert old.reason == "300.0 days old; no limit for a backup that was named"
    assert judge_freshness(NOW + DAY, NOW, None).verdict is Verdict.INCONCLUSIVE


@given(st.integers(min_value=-10, max_value=0), st.lists(st.integers(0, 10**12), max_size=9))
def test_an_empty_backup_never_passes(size: int, history: list[int]) -> None:
    assert judge_size(size, history, min_size=0).verdict is Verdict.FAILED


def test_a_size_below_the_least_fails_without_any_history() -> None:
    assert judge_size(99, [], min_size=100).verdict is Verdict.FAILED
    assert judge_size(100, [], min_size=100).verdict is Verdict.PASSED


def test_a_drop_against_the_usual_size_fails_and_one_odd_set_does_not_count() -> None:
    usual = [1000, 1010, 10, 990, 1005]
    assert judge_size(501, usual).verdict is Verdict.PASSED
    dropped = judge_size(499, usual)
    assert dropped.verdict is Verdict.FAILED
    assert "50% less than the usual 1000" in dropped.reason


@given(
    st.integers(1, 10**12),
    st.lists(st.integers(1, 10**12), min_size=1, max_size=20),
    st.floats(0.01, 0.99),
)
def test_more_bytes_are_never_judged_worse(size: int, history: list[int], drop: float) -> None:
    smaller = judge_size(size, history, max_drop=drop).verdict
    larger = judge_size(size + 1, history, max_drop=drop).verdict
    assert not (smaller is Verdict.PASSED and larger is Verdict.FAILED)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=12), "12 s"),
        (timedelta(minutes=12), "12 min"),
        (timedelta(hours=26), "26 h"),
        (timedelta(days=3, hours=12), "3.5 days"),
    ],
)
def test_durations_are_written_for_people(duration: timedelta, text: str) -> None:
    assert span(duration) == text
