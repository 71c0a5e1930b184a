"""Pure judgement: scans, issues and a policy make a verdict. No clock, no files.

What it never does: call something good of which it does not know that it was looked at. A policy
that blocks nothing, or scans that looked at nothing, are inconclusive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from hardening.model import Cause, Finding, Issue, NotScanned, Place, Scan, Severity
from hardening.policy.model import (
    Gap,
    Ignore,
    Judgement,
    Offline,
    Policy,
    Ruling,
    Treatment,
    VexStatement,
)
from hardening.policy.patterns import matches_path, matches_subject
from restoreproof.verdict import Verdict

TOOL = "policy"
"""The tool that findings about the policy itself name."""

_AHEAD = timedelta(days=1)
"""How far in the future a database may be dated, for clocks that differ."""


def judge(
    scans: Sequence[Scan],
    issues: Iterable[Issue],
    policy: Policy,
    now: datetime,
    *,
    some: bool = False,
) -> Judgement:
    """What the policy says.

    Args:
        scans: what was done; what they leave out is a gap.
        issues: their findings, brought together.
        policy: what blocks.
        now: the moment of the judgement.
        some: not all scanners were asked, so that what an ignore is for may not have been seen.
    """
    gaps = tuple(sorted(_gaps(scans, policy, now), key=lambda gap: not gap.blocks))
    used_ignores: Counter[Ignore] = Counter()
    used_vex: Counter[VexStatement] = Counter()
    left = Counter(policy.baseline)
    rulings = []
    for issue in sorted(issues, key=_order):
        ruling = _rule(issue, policy, now, left)
        _count(issue, policy, used_ignores, used_vex)
        rulings.append(ruling)
    about = tuple(_about(policy, now, used_ignores, used_vex, complete=not (gaps or some)))
    for found in about:
        issue = Issue(found.rule, (found,), found.severity)
        rulings.append(_rule_by_severity(issue, policy))
    rulings.sort(key=lambda one: (one.treatment is not Treatment.BLOCKS, *_order(one.issue)))
    verdict, reason = _verdict(scans, rulings, gaps, policy)
    return Judgement(tuple(scans), tuple(rulings), gaps, about, reason, verdict)


def _order(issue: Issue) -> tuple[int, str, str, int]:
    return (-issue.severity.rank, issue.place.path, issue.rule, issue.place.line)


def _verdict(
    scans: Sequence[Scan], rulings: Sequence[Ruling], gaps: Sequence[Gap], policy: Policy
) -> tuple[Verdict, str]:
    blocking = sum(one.treatment is Treatment.BLOCKS for one in rulings)
    if blocking:
        return Verdict.FAILED, f"{_count_of(blocking, 'finding')} to be mended"
    if not policy.block:
        return Verdict.INCONCLUSIVE, "the policy blocks nothing"
    if not any(scan.scanned for scan in scans):
        return Verdict.INCONCLUSIVE, "nothing was looked at"
    missing = [gap for gap in gaps if gap.blocks]
    if missing:
        tools = ", ".join(sorted({gap.tool for gap in missing}))
        return Verdict.INCONCLUSIVE, f"not everything was looked at: {tools}"
    if gaps:
        tools = ", ".join(sorted({gap.tool for gap in gaps}))
        return Verdict.PASSED, f"nothing blocks in what was looked at; not judged: {tools}"
    return Verdict.PASSED, "nothing blocks"


def _count_of(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _gaps(scans: Sequence[Scan], policy: Policy, now: datetime) -> Iterable[Gap]:
    for scan in scans:
        for what in scan.not_scanned:
            tolerated = what.cause is Cause.OFFLINE and policy.offline is Offline.REPORT
            yield Gap(scan.tool, what, blocks=not tolerated)
        if not scan.scanned and not scan.not_scanned:
            nothing = NotScanned(scan.tool, "looked at nothing", "name what it is to look at")
            yield Gap(scan.tool, nothing, blocks=True)
        if scan.data_from is not None:
            age = now - scan.data_from
            if age > policy.max_data_age:
                reason = f"its vulnerability data is {age.days} days old"
                hint = "run it where the database can be fetched, or raise max_data_age"
                yield Gap(scan.tool, NotScanned(scan.tool, reason, hint, Cause.STALE), blocks=True)
            elif age < -_AHEAD:
                reason = f"its vulnerability data is dated {scan.data_from:%Y-%m-%d}, in the future"
                yield Gap(scan.tool, NotScanned(scan.tool, reason, "", Cause.STALE), blocks=True)


def _rule(issue: Issue, policy: Policy, now: datetime, baseline: Counter[str]) -> Ruling:
    if all(one.answered for one in issue.findings):
        return Ruling(issue, Treatment.ANSWERED, issue.findings[0].answered)
    for statement in policy.vex:
        if _covers(statement, issue):
            reason = f"{statement.reason} ({statement.source})"
            return Ruling(issue, Treatment.NOT_AFFECTED, reason)
    for ignore in policy.ignores:
        if _matches(ignore, issue) and _holds(ignore, policy, now):
            reason = f"{ignore.reason} ({ignore.owner})"
            return Ruling(issue, Treatment.IGNORED, reason, ignore.expires)
    by_severity = _rule_by_severity(issue, policy)
    if by_severity.treatment is not Treatment.BLOCKS:
        return by_severity
    if _is_known(issue, baseline):
        # of all its names: one more of the same is new
        baseline.subtract({one.identity for one in issue.findings})
        return Ruling(issue, Treatment.KNOWN, "in the baseline")
    return _graced(issue, policy, now) or by_severity


def _is_known(issue: Issue, baseline: Counter[str]) -> bool:
    """Whether the baseline has it. A tool that had nothing to say then may join in.

    One that had, and says more now, has found something new in the same place: a second secret on
    a line, for instance.
    """
    known = [one for one in issue.findings if baseline[one.identity] > 0]
    tools = {one.tool for one in known}
    return bool(known) and all(one in known for one in issue.findings if one.tool in tools)


def _rule_by_severity(issue: Issue, policy: Policy) -> Ruling:
    if not policy.block:
        return Ruling(issue, Treatment.REPORTED, "the policy blocks nothing")
    if issue.severity is Severity.UNKNOWN:
        return Ruling(issue, Treatment.BLOCKS, "no tool knows how bad it is: look it up")
    if policy.block & {issue.severity, *_stated(issue)}:
        return Ruling(issue, Treatment.BLOCKS)
    if any(one.severity in policy.stricter.get(one.tool, ()) for one in issue.findings):
        return Ruling(issue, Treatment.BLOCKS, "blocks for this tool")
    return Ruling(issue, Treatment.REPORTED, "below what blocks")


def _stated(issue: Issue) -> set[Severity]:
    """What any tool says: a worse word of another one lets nothing pass, whatever blocks."""
    return {one.severity for one in issue.findings} - {Severity.UNKNOWN}


def _graced(issue: Issue, policy: Policy, now: datetime) -> Ruling | None:
    """Grace counts from the day a vulnerability became known: there is none without that day.

    Nor where it is yet to come: such a day is a mistake, and would let pass for ever.
    """
    days = [one.disclosed for one in issue.findings if one.disclosed is not None]
    known = [day for day in days if day <= now]
    if issue.fix or not known or not policy.grace:
        return None
    first = min(known)
    if now - first > policy.grace:
        return None
    left = datetime.max.replace(tzinfo=first.tzinfo) - first
    until = first + min(policy.grace, left)
    return Ruling(issue, Treatment.GRACE, "nothing mends it yet", until.date())


def _matches(ignore: Ignore, issue: Issue) -> bool:
    if ignore.id not in issue.names:
        return False
    return all(
        matches_path(one.place.path, ignore.path)
        and matches_subject(one.place.subject, ignore.subject)
        for one in issue.findings
    )


def _holds(ignore: Ignore, policy: Policy, now: datetime) -> bool:
    today = now.date()
    return timedelta(0) <= ignore.expires - today <= policy.longest


def _covers(statement: VexStatement, issue: Issue) -> bool:
    if not statement.names & issue.names:
        return False
    if not statement.packages:
        return True
    subjects = {one.place.subject for one in issue.findings}
    return all(
        subject in statement.packages or subject.rpartition("@")[0] in statement.packages
        for subject in subjects
    )


def _count(
    issue: Issue, policy: Policy, ignores: Counter[Ignore], vex: Counter[VexStatement]
) -> None:
    ignores.update(ignore for ignore in policy.ignores if _matches(ignore, issue))
    vex.update(statement for statement in policy.vex if _covers(statement, issue))


def _about(
    policy: Policy,
    now: datetime,
    ignores: Counter[Ignore],
    vex: Counter[VexStatement],
    *,
    complete: bool,
) -> Iterable[Finding]:
    """Findings about the policy itself. What is unused can only be told after a complete scan."""
    today = now.date()
    about = partial(_finding, policy.source)
    for ignore in policy.ignores:
        if ignore.expires < today:
            text = f"the ignore of {ignore.id} expired on {ignore.expires}"
            yield about("ignore-expired", text, Severity.MEDIUM, ignore.id, ignore.owner)
        elif ignore.expires - today > policy.longest:
            days = policy.longest.days
            text = f"the ignore of {ignore.id} expires later than {days} days ahead"
            yield about("ignore-too-long", text, Severity.MEDIUM, ignore.id, ignore.owner)
        elif complete and not ignores[ignore]:
            text = f"the ignore of {ignore.id} matches nothing"
            yield about("ignore-unused", text, Severity.LOW, ignore.id, ignore.owner)
    for statement in policy.vex:
        if complete and not vex[statement]:
            name = min(statement.names)
            text = f"the VEX statement on {name} in {statement.source} matches nothing"
            yield about("vex-unused", text, Severity.INFO, name, statement.source)


def _finding(
    source: str, rule: str, title: str, severity: Severity, about: str, whose: str
) -> Finding:
    return Finding(
        tool=TOOL,
        rule=rule,
        title=title,
        severity=severity,
        place=Place(source, 0, about),
        evidence=f"{about} {whose}",
        fix="take it out, or look at it anew and give it another day",
    )
