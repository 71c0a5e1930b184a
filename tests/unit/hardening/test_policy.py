from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hardening.model import Cause, Finding, NotScanned, Place, Scan, Severity
from hardening.policy.judge import judge
from hardening.policy.model import Ignore, Judgement, Offline, Policy, Treatment, VexStatement
from hardening.services.normalise import issues_of
from restoreproof.verdict import Verdict

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = NOW.date()
CVE = Finding(
    "trivy",
    "CVE-2026-1",
    "bad",
    Severity.CRITICAL,
    Place("requirements.txt", 3, "django@1.2"),
    said="CRITICAL",
    evidence="django@1.2",
    fix="update to 1.3",
)
UNFIXABLE = replace(CVE, fix="", disclosed=NOW - timedelta(days=10))
GOOD = Scan("trivy", "0.76.0", scanned=("requirements.txt",))
IGNORE = Ignore("CVE-2026-1", "never called by us", "ops", TODAY + timedelta(days=30))


def judged(
    *findings: Finding, policy: Policy | None = None, scan: Scan = GOOD, now: datetime = NOW
) -> Judgement:
    policy = policy or Policy()
    scans = [replace(scan, findings=findings)]
    return judge(scans, issues_of(findings, policy.looked_up), policy, now)


def treatment(judgement: Judgement) -> Treatment:
    return next(
        one.treatment for one in judgement.rulings if one.issue.findings[0].tool != "policy"
    )


def rules_about_policy(judgement: Judgement) -> list[str]:
    return [one.rule for one in judgement.about_policy]


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [
        (Severity.CRITICAL, Verdict.FAILED),
        (Severity.HIGH, Verdict.FAILED),
        (Severity.UNKNOWN, Verdict.FAILED),
        (Severity.MEDIUM, Verdict.PASSED),
        (Severity.LOW, Verdict.PASSED),
        (Severity.INFO, Verdict.PASSED),
    ],
)
def test_critical_high_and_unknown_block_by_default(severity: Severity, verdict: Verdict) -> None:
    assert judged(replace(CVE, severity=severity)).verdict is verdict


def test_nothing_scanned_is_no_pass() -> None:
    assert judge([], [], Policy(), NOW).verdict is Verdict.INCONCLUSIVE
    assert judged(scan=Scan("trivy", "1")).verdict is Verdict.INCONCLUSIVE


def test_a_policy_that_blocks_nothing_is_no_pass() -> None:
    empty = Policy(block=frozenset())
    assert judged(policy=empty).verdict is Verdict.INCONCLUSIVE
    assert judged(CVE, policy=empty).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("cause", list(Cause))
def test_only_what_is_offline_may_be_let_pass(cause: Cause) -> None:
    gap = NotScanned("a.lock", "no", cause=cause)
    scan = replace(GOOD, not_scanned=(gap,))
    assert judged(scan=scan).verdict is Verdict.INCONCLUSIVE
    lenient = judged(scan=scan, policy=Policy(offline=Offline.REPORT))
    tolerated = cause is Cause.OFFLINE
    assert lenient.verdict is (Verdict.PASSED if tolerated else Verdict.INCONCLUSIVE)
    assert "trivy" in lenient.reason
    assert len(lenient.gaps) == 1


def test_offline_without_anything_else_is_no_pass_even_where_it_is_let_pass() -> None:
    scan = Scan("trivy", "", not_scanned=(NotScanned("x", "offline", cause=Cause.OFFLINE),))
    assert judged(scan=scan, policy=Policy(offline=Offline.REPORT)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (timedelta(hours=1), Verdict.PASSED),
        (timedelta(days=2), Verdict.PASSED),
        (timedelta(days=2, seconds=1), Verdict.INCONCLUSIVE),
        (timedelta(days=-3), Verdict.INCONCLUSIVE),
    ],
)
def test_stale_data_and_data_from_the_future_are_no_pass(age: timedelta, verdict: Verdict) -> None:
    scan = replace(GOOD, data_from=NOW - age)
    assert judged(scan=scan, policy=Policy(offline=Offline.REPORT)).verdict is verdict


def test_false_positive_ignored() -> None:
    judgement = judged(CVE, policy=Policy(ignores=(IGNORE,)))
    assert judgement.verdict is Verdict.PASSED
    assert treatment(judgement) is Treatment.IGNORED
    assert judgement.rulings[0].until == IGNORE.expires
    assert "never called by us (ops)" in judgement.rulings[0].reason


def test_an_unfixable_one_is_waived_until_its_day_and_then_blocks_again() -> None:
    waiver = replace(IGNORE, expires=TODAY + timedelta(days=2))
    policy = Policy(ignores=(waiver,))
    for day in range(3):
        now = NOW + timedelta(days=day)
        assert judged(UNFIXABLE, policy=policy, now=now).verdict is Verdict.PASSED
    after = judged(UNFIXABLE, policy=policy, now=NOW + timedelta(days=3))
    assert after.verdict is Verdict.FAILED
    assert rules_about_policy(after) == ["ignore-expired"]


def test_an_ignore_that_expires_too_late_does_not_hold() -> None:
    late = replace(IGNORE, expires=TODAY + timedelta(days=91))
    judgement = judged(CVE, policy=Policy(ignores=(late,)))
    assert judgement.verdict is Verdict.FAILED
    assert rules_about_policy(judgement) == ["ignore-too-long"]


def test_an_unused_ignore_is_told_only_when_everything_was_looked_at() -> None:
    policy = Policy(ignores=(IGNORE,), offline=Offline.REPORT)
    assert rules_about_policy(judged(policy=policy)) == ["ignore-unused"]
    gap = NotScanned("x", "offline", cause=Cause.OFFLINE)
    assert rules_about_policy(judged(policy=policy, scan=replace(GOOD, not_scanned=(gap,)))) == []


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"id": "GHSA-1"}, True),
        ({"id": "CVE-2026-2"}, False),
        ({"path": "requirements*"}, True),
        ({"path": "*"}, True),
        ({"path": "src/**"}, False),
        ({"subject": "django"}, True),
        ({"subject": "django@1.2"}, True),
        ({"subject": "django@1.3"}, False),
        ({"subject": "djang"}, False),
    ],
)
def test_an_ignore_holds_within_its_scope(change: dict[str, str], holds: bool) -> None:
    found = replace(CVE, aliases=("GHSA-1",))
    ignore = Ignore(
        **{
            "id": IGNORE.id,
            "reason": IGNORE.reason,
            "owner": IGNORE.owner,
            "path": "**",
            "subject": "*",
            **change,
        },
        expires=IGNORE.expires,
    )
    judgement = judged(found, policy=Policy(ignores=(ignore,)))
    assert judgement.verdict is (Verdict.PASSED if holds else Verdict.FAILED)


def test_grace_counts_from_the_day_it_became_known() -> None:
    policy = Policy(grace=timedelta(days=30))
    assert treatment(judged(UNFIXABLE, policy=policy)) is Treatment.GRACE
    later = judged(UNFIXABLE, policy=policy, now=NOW + timedelta(days=21))
    assert later.verdict is Verdict.FAILED


def test_there_is_no_grace_for_what_can_be_mended_or_has_no_day() -> None:
    policy = Policy(grace=timedelta(days=30))
    assert judged(replace(UNFIXABLE, fix="update"), policy=policy).verdict is Verdict.FAILED
    assert judged(replace(UNFIXABLE, disclosed=None), policy=policy).verdict is Verdict.FAILED


@pytest.mark.parametrize("day", [NOW + timedelta(seconds=1), datetime.max.replace(tzinfo=UTC)])
def test_a_day_that_has_not_come_gives_no_grace(day: datetime) -> None:
    policy = Policy(grace=timedelta(days=30))
    later = replace(UNFIXABLE, disclosed=day)
    assert judged(later, policy=policy).verdict is Verdict.FAILED
    assert treatment(judged(later, replace(UNFIXABLE, tool="other"), policy=policy)) is (
        Treatment.GRACE
    )


def test_no_length_of_time_is_too_long_to_judge_by() -> None:
    policy = Policy(grace=timedelta.max, longest=timedelta.max, ignores=(IGNORE,))
    assert treatment(judged(UNFIXABLE, policy=policy)) is Treatment.IGNORED
    assert treatment(judged(UNFIXABLE, policy=replace(policy, ignores=()))) is Treatment.GRACE


def test_a_worse_word_of_another_tool_lets_nothing_pass() -> None:
    policy = Policy(block=frozenset({Severity.LOW}))
    low = replace(CVE, severity=Severity.LOW)
    assert judged(low, policy=policy).verdict is Verdict.FAILED
    assert judged(low, replace(CVE, tool="other"), policy=policy).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("packages", "covered"),
    [(("django@1.2",), True), (("django",), True), (("django@1.3",), False), (("flask",), False)],
)
def test_vex_covers_its_own_packages_only(packages: tuple[str, ...], covered: bool) -> None:
    vex = VexStatement(
        frozenset({"CVE-2026-1"}), frozenset(packages), "code not reachable", "a.json"
    )
    judgement = judged(CVE, policy=Policy(vex=(vex,)))
    assert judgement.verdict is (Verdict.PASSED if covered else Verdict.FAILED)
    assert rules_about_policy(judgement) == ([] if covered else ["vex-unused"])


def test_only_what_is_new_blocks_beside_a_baseline() -> None:
    policy = Policy(baseline={CVE.identity: 1})
    assert judged(CVE, policy=policy).verdict is Verdict.PASSED
    moved = replace(CVE, place=replace(CVE.place, line=99), title="worded anew")
    assert judged(moved, policy=policy).verdict is Verdict.PASSED
    new = replace(CVE, rule="CVE-2026-9")
    assert judged(CVE, new, policy=policy).verdict is Verdict.FAILED


def test_one_more_of_the_same_is_new() -> None:
    line = Finding(
        "bandit", "B602", "shell", Severity.HIGH, Place("a.py", 3), evidence="run(x, shell=)"
    )
    again = replace(line, place=Place("a.py", 30))
    policy = Policy(baseline={line.identity: 1})
    assert judged(line, policy=policy).verdict is Verdict.PASSED
    assert judged(line, again, policy=policy).verdict is Verdict.FAILED


def test_a_second_secret_on_a_line_that_the_baseline_knows_is_new() -> None:
    known = Finding(
        "restoreproof", "RP-D013", "is a secret", Severity.CRITICAL, Place("Dockerfile", 3), "", "A"
    )
    second = replace(known, evidence="B")
    joined = replace(known, tool="hadolint", rule="DL3064")
    policy = Policy(baseline={known.identity: 1})
    assert judged(known, joined, policy=policy).verdict is Verdict.PASSED
    assert judged(known, second, policy=policy).verdict is Verdict.FAILED


def test_what_the_source_answers_is_shown_with_its_reason() -> None:
    judgement = judged(replace(CVE, answered="the argument is ours"))
    assert treatment(judgement) is Treatment.ANSWERED
    assert judgement.rulings[0].reason == "the argument is ours"


def test_a_tool_may_be_judged_more_strictly() -> None:
    low = replace(CVE, severity=Severity.LOW)
    stricter = Policy(stricter={"trivy": frozenset({Severity.LOW})})
    assert judged(low, policy=stricter).verdict is Verdict.FAILED
    assert judged(replace(low, tool="other"), policy=stricter).verdict is Verdict.PASSED


def test_a_severity_that_nobody_knows_may_be_looked_up() -> None:
    unknown = replace(CVE, tool="pip-audit", severity=Severity.UNKNOWN)
    assert judged(unknown).verdict is Verdict.FAILED
    looked_up = Policy(looked_up={"CVE-2026-1": Severity.LOW})
    judgement = judged(unknown, policy=looked_up)
    assert judgement.verdict is Verdict.PASSED
    assert judgement.rulings[0].issue.lookup == "the policy"


def test_what_the_policy_gives_does_not_soften_what_a_tool_knows() -> None:
    assert judged(CVE, policy=Policy(looked_up={CVE.rule: Severity.LOW})).verdict is Verdict.FAILED


severities = st.sampled_from(list(Severity))
findings = st.builds(
    Finding,
    tool=st.sampled_from(["trivy", "pip-audit", "bandit"]),
    rule=st.sampled_from(["CVE-2026-1", "CVE-2026-2", "B602"]),
    title=st.text(max_size=5),
    severity=severities,
    place=st.builds(
        Place, st.sampled_from(["a", "b/c"]), st.integers(0, 3), st.sampled_from(["", "x@1"])
    ),
    fix=st.sampled_from(["", "update"]),
    disclosed=st.sampled_from([None, NOW - timedelta(days=5)]),
    answered=st.sampled_from(["", "because"]),
)
causes = st.builds(NotScanned, st.just("x"), st.just("y"), cause=st.sampled_from(list(Cause)))
ignores = st.builds(
    Ignore,
    id=st.sampled_from(["CVE-2026-1", "B602", "other"]),
    reason=st.just("a good reason"),
    owner=st.just("me"),
    expires=st.dates(date(2026, 11, 20), date(2027, 6, 1)),
    path=st.sampled_from(["**", "a"]),
)
policies = st.builds(
    Policy,
    block=st.frozensets(severities),
    grace=st.sampled_from([timedelta(0), timedelta(days=30)]),
    offline=st.sampled_from(list(Offline)),
    ignores=st.lists(ignores, max_size=3).map(tuple),
)
scans = st.builds(
    Scan,
    tool=st.sampled_from(["trivy", "bandit"]),
    version=st.just("1"),
    scanned=st.sampled_from([(), ("a",)]),
    not_scanned=st.lists(causes, max_size=2).map(tuple),
    findings=st.lists(findings, max_size=4).map(tuple),
    data_from=st.sampled_from([None, NOW, NOW - timedelta(days=9)]),
)


@given(st.lists(scans, max_size=3), policies)
def test_a_pass_means_that_all_was_looked_at_and_nothing_blocks(
    done: list[Scan], policy: Policy
) -> None:
    issues = issues_of((one for scan in done for one in scan.findings), {})
    judgement = judge(done, issues, policy, NOW)
    if judgement.verdict is not Verdict.PASSED:
        return
    assert policy.block
    assert any(scan.scanned for scan in done)
    assert not any(gap.blocks for gap in judgement.gaps)
    for scan in done:
        assert scan.data_from in (None, NOW)
        assert scan.scanned or scan.not_scanned
        causes = {gap.cause for gap in scan.not_scanned}
        assert causes <= ({Cause.OFFLINE} if policy.offline is Offline.REPORT else set())
        for found in scan.findings:
            if found.severity in policy.block | {Severity.UNKNOWN} and not found.answered:
                ruling = next(one for one in judgement.rulings if found in one.issue.findings)
                assert ruling.treatment is not Treatment.BLOCKS
                assert ruling.until is not None or ruling.issue.severity is not found.severity


@given(st.lists(scans, max_size=3), policies, findings)
def test_more_findings_never_make_a_verdict_better(
    done: list[Scan], policy: Policy, more: Finding
) -> None:
    # two ways out are meant: another tool knows a severity, and an ignore is used after all
    assume(all(one.severity is not Severity.UNKNOWN for scan in done for one in scan.findings))
    policy = replace(policy, ignores=())

    def verdict(extra: tuple[Finding, ...]) -> Verdict:
        found = [one for scan in done for one in scan.findings]
        return judge(done, issues_of([*found, *extra], {}), policy, NOW).verdict

    if verdict(()) is Verdict.FAILED:
        assert verdict((more,)) is Verdict.FAILED
    if verdict((more,)) is Verdict.PASSED:
        assert verdict(()) is Verdict.PASSED


@given(st.lists(findings, max_size=8))
def test_no_finding_is_lost_or_told_twice(found: list[Finding]) -> None:
    issues = issues_of(found, {})
    told = [one for issue in issues for one in issue.findings]
    assert sorted(map(repr, told)) == sorted(map(repr, set(found)))
    for issue in issues:
        known = [one.severity for one in issue.findings if one.severity is not Severity.UNKNOWN]
        assert issue.severity.rank == max((one.rank for one in known), default=5)
