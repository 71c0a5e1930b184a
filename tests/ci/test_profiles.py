from __future__ import annotations

import pytest
from hypothesis import settings

from tests.harness.profiles import profile


@pytest.mark.parametrize("name", ["quick", "full"])
def test_the_profile_is_the_one_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREPROOF_PROFILE", name)
    assert profile() == name


def test_quick_is_the_default_and_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESTOREPROOF_PROFILE", raising=False)
    quick, full = settings.get_profile(profile()), settings.get_profile("full")
    assert quick.max_examples * 10 <= full.max_examples


def test_a_profile_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREPROOF_PROFILE", "thorough")
    with pytest.raises(pytest.UsageError, match=r"thorough.*quick.*full"):
        profile()


def test_hypothesis_runs_with_the_profile() -> None:
    assert settings().max_examples == settings.get_profile(profile()).max_examples
