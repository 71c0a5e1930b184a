"""With ``CI=true`` a skip fails, unless it stands here: a check that did not run is no pass."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest


@dataclass(frozen=True, slots=True)
class AllowedSkip:
    """A skip that CI accepts.

    Attributes:
        where: glob over the test's node id, or ``nox:SESSION``.
        why: what it would take to run it, and why that cannot be had in CI.
    """

    where: str
    why: str


ALLOWED: tuple[AllowedSkip, ...] = (
    AllowedSkip(
        "nox:security",
        "vulnerabilities are looked up at a service on the network, which a closed CI has not",
    ),
    AllowedSkip(
        "tests/unit/test_atomic.py::test_a_full_disk_leaves_what_was_there*",
        "a small disk is mounted in a name space of its own, which some containers forbid; "
        "the limit on file size and /dev/full are tested everywhere",
    ),
    AllowedSkip(
        "tests/integration/test_destination_local.py::test_a_full_disk_leaves_older_sets*",
        "a small disk is mounted, which some containers forbid; the limit on file size, at many "
        "offsets, is tested everywhere",
    ),
    AllowedSkip(
        "tests/e2e/*",
        "needs root, a kernel that lets an engine start, and Debian's packages for a base image; "
        "some containers forbid the one or have not the other",
    ),
    AllowedSkip(
        "tests/faults/*full*",
        "small disks are mounted, which some containers forbid; the limit on file size, at many "
        "offsets, is tested everywhere",
    ),
)


def in_ci() -> bool:
    """Whether this is a run that judges a change."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def is_allowed(where: str, allowed: Sequence[AllowedSkip] = ALLOWED) -> bool:
    """Whether ``where`` may be skipped in CI."""
    return any(fnmatchcase(where, skip.where) for skip in allowed)


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not in_ci():
        return
    if is_allowed(report.nodeid):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = (
        f"{report.nodeid} was skipped in CI ({reason.removeprefix('Skipped: ')}); give it what it "
        "needs in .ci/setup, or put it on the list in tests/harness/skips.py"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a test's skip into a failure."""
    report = yield
    _refuse(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into a failure."""
    report = yield
    _refuse(report)
    return report
