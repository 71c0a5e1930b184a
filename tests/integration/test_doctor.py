"""The doctor outlives what it is there to find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from backup_lib.sandboxes.base import Sandbox
from backup_lib.services.doctor import Check, diagnose
from backup_lib.services.run import run_backup
from backup_lib.services.site import Site
from backup_lib.work import Work
from restoreproof.errors import Inconclusive
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
