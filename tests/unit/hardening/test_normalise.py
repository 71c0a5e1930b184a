from __future__ import annotations

from dataclasses import replace

import pytest

from hardening.model import Finding, Place, Severity
from hardening.reports.text import level, who
from hardening.rules.catalogue import RULES
from hardening.rules.rule import TOOL
from hardening.scanners.severities import TABLES
from hardening.services.normalise import issues_of
from hardening.services.rule_map import GROUPS, group_of

TRIVY = Finding(
    "trivy", "DS-0002", "root", Severity.HIGH, Place("Dockerfile", 4), said="HIGH", evidence="a"
)
HADOLINT = Finding(
    "hadolint", "DL3002", "root", Severity.MEDIUM, Place("Dockerfile", 4), said="warning"
)
PIP_AUDIT = Finding(
    "pip-audit",
    "PYSEC-2026-1",
    "bad",
    Severity.UNKNOWN,
    Place("requirements/a.txt", 3, "django@1.2"),
    aliases=("CVE-2026-1", "GHSA-1"),
)
TRIVY_CVE = Finding(
    "trivy",
    "CVE-2026-1",
    "bad",
    Severity.CRITICAL,
    Place("requirements/a.txt", 0, "django@1.2"),
    said="CRITICAL",
)


def test_two_tools_disagree_on_severity_the_worst_counts_and_both_are_shown() -> None:
    (issue,) = issues_of([HADOLINT, TRIVY], {})
    assert issue.rule == "root-user"
    assert issue.severity is Severity.HIGH
    assert issue.disagrees
    assert level(issue) == "high (hadolint: warning, trivy: HIGH)"
    assert who(issue) == "hadolint DL3002, trivy DS-0002"


def test_the_same_rule_in_another_file_is_another_issue() -> None:
    other = replace(HADOLINT, place=Place("other/Dockerfile", 4))
    assert len(issues_of([TRIVY, other], {})) == 2


def test_the_same_rule_on_another_line_is_another_issue_where_it_is_about_lines() -> None:
    one = replace(TRIVY, rule="DS-0013")
    two = replace(HADOLINT, rule="DL3003", place=Place("Dockerfile", 9))
    assert len(issues_of([one, two], {})) == 2


OURS = Finding(
    TOOL, "RP-C003", "privileged", Severity.CRITICAL, Place("compose.yaml", 2, "web"), said="x"
)
LINT = Finding(
    "compose-lint", "CL-0002", "privileged", Severity.HIGH, Place("compose.yaml", 9, "web")
)


def test_a_rule_of_our_own_and_a_tools_meet_in_one_service_and_in_no_other() -> None:
    (issue,) = issues_of([OURS, LINT], {})
    assert issue.rule == "service-privileged"
    assert issue.severity is Severity.CRITICAL
    other = replace(LINT, place=replace(LINT.place, subject="db"))
    assert len(issues_of([OURS, other], {})) == 2


def test_a_secret_meets_on_its_line_whatever_the_stage_is_called() -> None:
    ours = replace(OURS, rule="RP-D013", place=Place("Dockerfile", 2, "stage 0"))
    theirs = replace(TRIVY, rule="DS-0031", place=Place("Dockerfile", 2))
    assert len(issues_of([ours, theirs], {})) == 1
    elsewhere = replace(theirs, place=Place("Dockerfile", 3))
    assert len(issues_of([ours, elsewhere], {})) == 2


def test_two_services_on_one_line_do_not_meet() -> None:
    ours = replace(OURS, rule="RP-C016", place=Place("compose.yaml", 2, "web"))
    theirs = replace(LINT, rule="CL-0020", place=Place("compose.yaml", 2, "db"))
    assert len(issues_of([ours, theirs], {})) == 2


def test_one_vulnerability_meets_by_its_aliases_and_gets_its_severity() -> None:
    (issue,) = issues_of([PIP_AUDIT, TRIVY_CVE], {})
    assert issue.severity is Severity.CRITICAL
    assert {"PYSEC-2026-1", "CVE-2026-1", "GHSA-1"} <= issue.names
    assert not issue.disagrees


def test_aliases_that_meet_only_through_a_third_name_meet() -> None:
    bridge = replace(PIP_AUDIT, rule="GHSA-1", aliases=("CVE-2026-1",))
    alone = replace(PIP_AUDIT, rule="PYSEC-2026-1", aliases=("GHSA-1",))
    assert len(issues_of([alone, TRIVY_CVE, bridge], {})) == 1


def test_a_vulnerability_of_another_version_is_another_issue() -> None:
    other = replace(TRIVY_CVE, place=replace(TRIVY_CVE.place, subject="django@1.3"))
    assert len(issues_of([PIP_AUDIT, other], {})) == 2


def test_identity_knows_no_line_and_no_prose() -> None:
    moved = replace(TRIVY, place=Place("Dockerfile", 44), title="worded anew", said="x")
    assert moved.identity == TRIVY.identity
    assert replace(TRIVY, evidence="b").identity != TRIVY.identity


def test_a_rule_is_in_one_group() -> None:
    rules = [rule for group in GROUPS.values() for rule in group.rules]
    assert len(rules) == len(set(rules))
    assert {tool for tool, _ in rules} <= {*TABLES, TOOL}
    assert {rule for tool, rule in rules if tool == TOOL} <= set(RULES)
    assert group_of("trivy", "DS-0002") == group_of("hadolint", "DL3002") == "root-user"


@pytest.mark.parametrize("tool", TABLES)
def test_a_tools_levels_keep_their_order(tool: str) -> None:
    order = ["informational", "style", "info", "note", "low", "warning", "medium", "error", "high"]
    words = [word for word in (*order, "critical") if word in TABLES[tool]]
    ranks = [TABLES[tool][word].rank for word in words]
    assert ranks == sorted(ranks)
