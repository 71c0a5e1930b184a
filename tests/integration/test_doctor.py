"""The doctor outlives what it is there to find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from backup_lib.sandboxes.base import Sandbox
from backup_lib.services.doctor import Check, diagnose
from backup_lib.services.run import run_backup
from backup_lib.services.site import Site
from backup_lib.work import Work
from restoreproof.errors import Inconclusive
from restoreproof.events import Event, StepFinished
from restoreproof.verdict import Verdict
from tests.harness.site import MakeSite, database_of

SECOND = """
[store.second]
kind = "postgres"
dsn = { env = "SECOND_DSN_THAT_IS_NOT_SET" }

[alert.pager]
kind = "apprise"
url = { env = "PAGER_URL_THAT_IS_NOT_SET" }
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Work(scratch=scratch, stall_timeout=60, jobs=2)


def checks(site: Site, work: Work) -> dict[tuple[str, str], Check]:
    return {(check.area, check.name): check for check in diagnose(site, work).checks}


def test_secrets_that_are_not_set_are_found_and_everything_else_is_looked_at(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site(tables=SECOND)
    run_backup(site, "nightly", work)
    found = checks(site, work)
    for area, name, variable in (
        ("store", "second", "SECOND_DSN_THAT_IS_NOT_SET"),
        ("alert", "pager", "PAGER_URL_THAT_IS_NOT_SET"),
    ):
        assert found[area, name].verdict is Verdict.FAILED
        assert variable in found[area, name].message
    for healthy in (
        ("store", "orders"),
        ("destination", "disk"),
        ("destination", "disk/nightly"),
        ("sandbox", "nightly/orders"),
    ):
        assert found[healthy].verdict is Verdict.PASSED, found[healthy]
    assert ("coverage", "second") in found  # it is in no set
    assert ("coverage", database_of(site)) not in found


def test_a_store_to_restore_into_is_a_note_and_no_failure(make_site: MakeSite, work: Work) -> None:
    site = make_site(tables='[store.spare]\nkind = "postgres"\ndsn = { file = "orders.dsn" }')
    run_backup(site, "nightly", work)
    found = checks(site, work)
    assert found["store", "spare"].verdict is Verdict.PASSED
    note = found["coverage", "spare"]
    assert note.verdict is Verdict.INCONCLUSIVE  # it may have been forgotten all the same
    assert "restored into" in note.message
    assert "never backed up" in note.message
    assert Verdict.FAILED not in {check.verdict for check in found.values()}


def test_a_step_says_what_was_found_in_it(make_site: MakeSite, work: Work) -> None:
    site = make_site(tables=SECOND)
    told: list[Event] = []
    diagnosis = diagnose(site, replace(work, emit=told.append))
    steps = {event.step: event for event in told if isinstance(event, StepFinished)}
    areas = {
        "doctor:Keys": {"keys"},
        "doctor:Stores": {"store", "coverage"},
        "doctor:Destinations": {"destination"},
        "doctor:Sandboxes": {"sandbox"},
        "doctor:Alert channels": {"alert"},
    }
    assert steps.keys() == areas.keys()
    for name, about in areas.items():
        of_step = [check.verdict for check in diagnosis.checks if check.area in about]
        assert of_step
        assert steps[name].ok is (Verdict.FAILED not in of_step), name
    assert steps["doctor:Keys"].ok
    assert not steps["doctor:Stores"].ok
    assert steps["doctor:Keys"].outcome == "2 in order"
    assert steps["doctor:Stores"].outcome.endswith("1 to look at, 1 failed")


class Broken:
    def isolation(self) -> Mapping[str, str]:
        raise Inconclusive("no namespace can be made", hint="mend the machine")


def test_a_sandbox_that_cannot_tell_its_isolation_is_a_finding(
    make_site: MakeSite, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    monkeypatch.setattr(site, "sandbox", lambda _name: cast("Sandbox", Broken()))
    found = checks(site, work)
    assert found["sandbox", "process"].verdict is Verdict.FAILED
    assert found["sandbox", "process"].message == "no namespace can be made"
    assert ("alert", "none") in found
