from __future__ import annotations

import pytest

from tests.harness.skips import ALLOWED, AllowedSkip, is_allowed

SUITE = """
    import pytest

    def test_that_is_skipped():
        pytest.skip("no such server")

    @pytest.mark.xfail(strict=True)
    def test_that_is_expected_to_fail():
        assert False

    def test_that_passes():
        pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest('pytest_plugins = ["tests.harness.skips"]')
    pytester.makepyfile(test_here=SUITE)
    return pytester


def test_a_skip_fails_in_ci(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = suite.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1, xfailed=1, passed=1)
    result.stdout.fnmatch_lines(["*test_that_is_skipped was skipped in CI (no such server)*"])


def test_a_skip_is_a_skip_elsewhere(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = suite.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(skipped=1, xfailed=1, passed=1)


def test_skipping_a_whole_module_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makeconftest('pytest_plugins = ["tests.harness.skips"]')
    pytester.makepyfile("import pytest; pytest.importorskip('no_such_module')")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)


def test_the_list_accepts_what_it_names_and_nothing_else() -> None:
    allowed = [AllowedSkip("tests/e2e/test_x.py::*", "no licence")]
    assert is_allowed("tests/e2e/test_x.py::test_y", allowed)
    assert not is_allowed("tests/e2e/test_z.py::test_y", allowed)


def test_the_list_is_short_and_gives_reasons() -> None:
    assert len(ALLOWED) <= 5
    assert all(len(skip.why) > 20 for skip in ALLOWED)
    assert [skip.where for skip in ALLOWED if skip.where.startswith("*")] == []
