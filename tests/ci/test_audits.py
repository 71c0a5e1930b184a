from __future__ import annotations

import json

import pytest

from restoreproof.verdict import Verdict
from tests.harness.audits import read_bandit, read_pip_audit

CLEAN = {"name": "rich", "version": "15.0.0", "vulns": []}
BAD = {
    "name": "Zope.Thing",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "bad"}],
}
# what pip-audit 2.10 writes, with exit code 0 and "No known vulnerabilities found", where the
# service knows no package
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found and could not be audited"}
SHELL = {"filename": "a.py", "line_number": 3, "test_id": "B602", "issue_text": "shell"}


def pip_report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def bandit_report(*files: str, errors: object = (), results: object = ()) -> str:
    metrics = {name: {"loc": 1} for name in ("_totals", *files)}
    return json.dumps({"errors": errors, "metrics": metrics, "results": results})


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (pip_report(CLEAN), Verdict.PASSED),
        (pip_report(CLEAN, BAD), Verdict.FAILED),
        (pip_report(UNKNOWN), Verdict.INCONCLUSIVE),
        (pip_report(), Verdict.INCONCLUSIVE),
        ("", Verdict.INCONCLUSIVE),
        ("[]", Verdict.INCONCLUSIVE),
        ('{"dependencies": null}', Verdict.INCONCLUSIVE),
    ],
)
def test_pip_audit_passes_only_when_every_package_was_looked_up(
    report: str, verdict: Verdict
) -> None:
    assert read_pip_audit(report, ["Rich"]).verdict is verdict


def test_pip_audit_says_why_a_package_was_not_looked_up() -> None:
    assert read_pip_audit(pip_report(UNKNOWN), ["rich", "sh"]).not_looked_at == (
        "rich: Dependency not found and could not be audited",
        "sh: not in the report",
    )


def test_pip_audit_names_the_version_that_mends_a_vulnerability() -> None:
    assert read_pip_audit(pip_report(BAD), ["zope-thing"]).findings == (
        "zope-thing 1.0: PYSEC-1, fixed in 1.1",
    )


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (bandit_report("a.py"), Verdict.PASSED),
        (bandit_report("b.py"), Verdict.INCONCLUSIVE),
        (
            bandit_report("a.py", errors=[{"filename": "a.py", "reason": "syntax error"}]),
            Verdict.INCONCLUSIVE,
        ),
        (
            bandit_report(
                "a.py",
                results=[SHELL | {"code": "2 import os\n3 run()\n"}],
            ),
            Verdict.FAILED,
        ),
        ("", Verdict.INCONCLUSIVE),
    ],
)
def test_bandit_passes_only_when_every_file_was_read(report: str, verdict: Verdict) -> None:
    assert read_bandit(report, ["a.py"]).verdict is verdict


@pytest.mark.parametrize(
    ("line", "answered"),
    [
        ("3 run()  # noqa: S602  # the argument is ours", True),
        ("3 run()  # noqa: A001, S602 - the argument is ours", True),
        ("3 run()  # noqa: S602", False),
        ("3 run()  # noqa: S603  # another rule", False),
        ("2 run()  # noqa: S602  # another line\n3 run()", False),
    ],
)
def test_a_finding_is_accepted_only_where_its_line_says_why(line: str, answered: bool) -> None:
    audit = read_bandit(bandit_report("a.py", results=[SHELL | {"code": f"{line}\n"}]), ["a.py"])
    assert audit.verdict is (Verdict.PASSED if answered else Verdict.FAILED)
    assert len(audit.accepted) == answered
