"""A report drawn for the terminal: what was not judged first, then what blocks, then the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hardening.model import Scan, Severity
from hardening.policy.model import Gap, Judgement, Ruling, Treatment
from hardening.reports.text import gap_line, level, shown, where, who, why
from hardening.services.scan import Report
from restoreproof.verdict import Verdict

GAPS_SHOWN = 5
"""Of one tool and one reason; the JSON document has them all."""

_NUMBER = re.compile(r"\d+")
"""A reason is the same on another line of another file."""

_COLOURS = {
    Severity.UNKNOWN: "magenta",
    Severity.INFO: "dim",
    Severity.LOW: "cyan",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "red",
    Severity.CRITICAL: "bold red",
}
_VERDICTS = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
}


def render_report(report: Report) -> RenderableType:
    """Everything that a person needs to decide what to do next."""
    judgement = report.judgement
    parts: list[RenderableType] = [*_gaps(judgement.gaps)]
    parts += [_ruling(one) for one in judgement.rulings if one.treatment is Treatment.BLOCKS]
    parts += _others(judgement)
    if judgement.scans:
        parts.append(_scans(judgement.scans))
    verdict = Text(str(judgement.verdict).upper(), _VERDICTS[judgement.verdict])
    parts.append(Text.assemble(verdict, f": {judgement.reason}"))
    return Group(*parts)


def _gaps(gaps: Sequence[Gap]) -> Iterable[Text]:
    def kind(gap: Gap) -> tuple[bool, str, str]:
        return (not gap.blocks, gap.tool, _NUMBER.sub("0", gap.what.reason))

    for _, group in groupby(sorted(gaps, key=kind), key=kind):
        same = list(group)
        for gap in same[:GAPS_SHOWN]:
            yield Text(f"not judged  {gap_line(gap)}", "yellow" if gap.blocks else "dim")
        hint = next((gap.what.hint for gap in same if gap.what.hint), "")
        if len(same) > GAPS_SHOWN:
            yield Text(f"            … and {len(same) - GAPS_SHOWN} more like it", "dim")
        if hint:
            yield Text(f"            → {shown(hint)}", "dim")


def _ruling(ruling: Ruling) -> Text:
    issue = ruling.issue
    text = Text.assemble(
        (f"{level(issue)}  ", _COLOURS[issue.severity]),
        (where(issue), "bold"),
        f"  {shown(issue.title)}  ",
        (f"[{who(issue)}]", "dim"),
    )
    if ruling.reason:
        text.append(f"\n    {why(ruling)}", "dim")
    if issue.fix:
        text.append(f"\n    → {shown(issue.fix)}", "green")
    return text


def _others(judgement: Judgement) -> list[RenderableType]:
    """One line each for what has a reason; counts for what is below the bar."""
    parts: list[RenderableType] = []
    for ruling in judgement.rulings:
        if ruling.treatment in {Treatment.BLOCKS, Treatment.REPORTED}:
            continue
        issue = ruling.issue
        line = f"{ruling.treatment}  {where(issue)}  [{who(issue)}]  {why(ruling)}"
        parts.append(Text(line, "dim"))
    about = set(judgement.about_policy)
    below = [one for one in judgement.rulings if one.treatment is Treatment.REPORTED]
    parts += [_ruling(one) for one in below if one.issue.findings[0] in about]
    counts = Counter(one.issue.severity for one in below if one.issue.findings[0] not in about)
    if counts:
        told = ", ".join(f"{counts[one]} {one}" for one in reversed(Severity) if counts[one])
        parts.append(Text(f"reported    {told}: below what blocks, see --json", "dim"))
    return parts


def _scans(scans: Sequence[Scan]) -> Table:
    table = Table.grid(padding=(0, 2))
    for scan in scans:
        name = scan.facts.get("scanner", scan.tool)
        table.add_row(
            shown(scan.tool if name == scan.tool else f"{scan.tool} ({name})"),
            shown(scan.version) or "did not run",
            f"{len(scan.scanned)} looked at",
            f"{len(scan.not_scanned)} not",
            f"{len(scan.findings)} findings",
            f"data of {scan.data_from:%Y-%m-%d %H:%M} UTC" if scan.data_from else "",
            f"{scan.seconds:.1f} s",
        )
    return table
