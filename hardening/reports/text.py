"""How issues and gaps are told in one line; text from outside is made fit for a terminal."""

from __future__ import annotations

from hardening.model import Issue, Severity
from hardening.policy.model import Gap, Ruling
from restoreproof.reporters.text import one_line

LONGEST = 300


def shown(text: str) -> str:
    """Text from outside as one line, not too long, without anything that steers a terminal."""
    line = one_line(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def where(issue: Issue) -> str:
    """``path:line subject``."""
    place = issue.place
    text = shown(place.path) + (f":{place.line}" if place.line else "")
    return f"{text} {shown(place.subject)}" if place.subject else text


def who(issue: Issue) -> str:
    """Which tools say it, and under what name: ``trivy DS-0002, hadolint DL3002``."""
    said = dict.fromkeys(f"{one.tool} {shown(one.rule)}" for one in issue.findings)
    return ", ".join(said)


def level(issue: Issue) -> str:
    """The severity, and what each tool says where they disagree or none knows one."""
    if issue.lookup:
        return f"{issue.severity} (by {issue.lookup})"
    if not issue.disagrees:
        return str(issue.severity)
    each = dict.fromkeys(
        f"{one.tool}: {shown(one.said) or one.severity}"
        for one in issue.findings
        if one.severity is not Severity.UNKNOWN
    )
    return f"{issue.severity} ({', '.join(each)})"


def why(ruling: Ruling) -> str:
    """What becomes of it, and until when."""
    text = shown(ruling.reason)
    if ruling.until:
        text += f", until {ruling.until}"
    return text


def gap_line(gap: Gap) -> str:
    """What was not looked at, and why."""
    name = shown(gap.what.name)
    of = "" if name == gap.tool else f"{gap.tool}: "
    return f"{of}{name} {shown(gap.what.reason)}" if of else f"{name}: {shown(gap.what.reason)}"
