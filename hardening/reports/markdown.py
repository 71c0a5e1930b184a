"""A summary for a pull request, in Markdown. Text from outside cannot format, link or mention."""

from __future__ import annotations

import re
from collections import Counter

from hardening.model import Severity
from hardening.policy.model import Treatment
from hardening.reports.text import gap_line, level, shown, where, who, why
from hardening.services.scan import Report
from restoreproof.verdict import Verdict

ROWS = 50
"""Of one table; a comment may not be longer than 64 KiB."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")
_MARKS = {Verdict.PASSED: "✅", Verdict.FAILED: "❌", Verdict.INCONCLUSIVE: "⚠️"}


def markdown_summary(report: Report) -> str:
    """Verdict, what was not judged, what blocks, and counts of the rest."""
    judgement = report.judgement
    verdict = judgement.verdict
    lines = [f"## {_MARKS[verdict]} Hardening: {verdict}", "", escaped(judgement.reason), ""]
    if judgement.gaps:
        lines += ["### Not judged", ""]
        lines += [f"- {escaped(gap_line(gap))}" for gap in judgement.gaps[:ROWS]]
        lines += _more(len(judgement.gaps))
    if judgement.blocking:
        lines += ["### To be mended", "", "| severity | where | what | who |", "|---|---|---|---|"]
        for ruling in judgement.blocking[:ROWS]:
            issue = ruling.issue
            cells = (level(issue), where(issue), shown(issue.title), who(issue))
            lines.append("| " + " | ".join(map(escaped, cells)) + " |")
        lines += ["", *_more(len(judgement.blocking))]
    passed = [
        one
        for one in judgement.rulings
        if one.treatment not in {Treatment.BLOCKS, Treatment.REPORTED}
    ]
    if passed:
        lines += ["### Let pass", "", "| how | where | who | why |", "|---|---|---|---|"]
        for one in passed[:ROWS]:
            cells = (str(one.treatment), where(one.issue), who(one.issue), why(one))
            lines.append("| " + " | ".join(map(escaped, cells)) + " |")
        lines += ["", *_more(len(passed))]
    below = Counter(
        one.issue.severity for one in judgement.rulings if one.treatment is Treatment.REPORTED
    )
    if below:
        told = ", ".join(f"{below[one]} {one}" for one in reversed(Severity) if below[one])
        lines += [f"Below what blocks: {told}.", ""]
    lines += ["| scanner | version | looked at | not | findings |", "|---|---|---|---|---|"]
    for scan in judgement.scans:
        name = scan.facts.get("scanner", scan.tool)
        told_of = (name, scan.version or "did not run")
        counts = (len(scan.scanned), len(scan.not_scanned), len(scan.findings))
        row = (*map(escaped, told_of), *map(str, counts))
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text from outside, so that Markdown shows it as it is."""
    plain = _SPECIAL.sub(r"\\\1", shown(text))
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("@", "@\u200b").replace("://", ":\u200b//")


def _more(count: int) -> list[str]:
    return [f"… and {count - ROWS} more.", ""] if count > ROWS else [""]
