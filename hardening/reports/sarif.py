"""SARIF 2.1.0: one document a tool, so that each is a category of its own in code scanning.

``partialFingerprints`` hold our identity, versioned; it knows no line and no prose, so an alert
does not come and go when lines move or a tool words things anew. What is let pass is suppressed,
with its reason. What was not looked at is a notification of level error, and the execution is
not successful.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hardening.model import Finding, Scan, Severity
from hardening.policy.model import Gap, Judgement, Ruling, Treatment
from hardening.reports.text import shown, why
from restoreproof.atomic import make_folder, write_bytes

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "restoreproof/v1"

_LEVELS = {
    Severity.UNKNOWN: "error",
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_SCORES = {
    Severity.UNKNOWN: "9.0",
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
    Severity.INFO: "0.1",
}
_SUPPRESSED = {
    Treatment.GRACE: "external",
    Treatment.IGNORED: "external",
    Treatment.ANSWERED: "inSource",
    Treatment.NOT_AFFECTED: "external",
}


def write_sarif(judgement: Judgement, folder: Path) -> tuple[Path, ...]:
    """Write ``TOOL.sarif`` for every tool, and nothing else.

    Returns:
        the files.
    """
    make_folder(folder, 0o755)
    written = []
    for tool, document in sarif_documents(judgement).items():
        path = folder / f"{tool}.sarif"
        write_bytes(path, (json.dumps(document, indent=1) + "\n").encode(), 0o644)
        written.append(path)
    return tuple(written)


def sarif_documents(judgement: Judgement) -> dict[str, dict[str, Any]]:
    """One document a tool, by its name; a tool that found nothing has one as well."""
    scans: dict[str, list[Scan]] = defaultdict(list)
    for scan in judgement.scans:
        scans[scan.tool].append(scan)
    found: dict[str, list[tuple[Finding, Ruling]]] = defaultdict(list)
    for ruling in judgement.rulings:
        for finding in ruling.issue.findings:
            found[finding.tool].append((finding, ruling))
    gaps: dict[str, list[Gap]] = defaultdict(list)
    for gap in judgement.gaps:
        gaps[gap.tool].append(gap)
    return {
        tool: _document(tool, scans[tool], found[tool], gaps[tool])
        for tool in sorted({*scans, *found})
    }


def _document(
    tool: str,
    scans: Sequence[Scan],
    found: Sequence[tuple[Finding, Ruling]],
    gaps: Sequence[Gap],
) -> dict[str, Any]:
    rules = sorted({finding.rule for finding, _ in found})
    index = {rule: number for number, rule in enumerate(rules)}
    first = {finding.rule: (finding, ruling) for finding, ruling in reversed(found)}
    driver: dict[str, Any] = {"name": tool, "rules": [_rule(*first[rule]) for rule in rules]}
    version = next((scan.version for scan in scans if scan.version), "")
    if version:
        driver["version"] = version
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"restoreproof/{tool}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(gaps)],
        "results": [_result(finding, ruling, index[finding.rule]) for finding, ruling in found],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(finding: Finding, ruling: Ruling) -> dict[str, Any]:
    severity = ruling.issue.severity
    rule: dict[str, Any] = {
        "id": shown(finding.rule),
        "shortDescription": {"text": shown(finding.title) or shown(finding.rule)},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {"tags": ["security"], "security-severity": _SCORES[severity]},
    }
    if finding.help.startswith("https://"):
        rule["helpUri"] = quote(finding.help, safe=":/#?&=%+,@~!$'()*;[]")
    return rule


def _result(finding: Finding, ruling: Ruling, index: int) -> dict[str, Any]:
    text = shown(finding.title) or shown(finding.rule)
    if finding.place.subject:
        text = f"{shown(finding.place.subject)}: {text}"
    if ruling.issue.disagrees:
        each = (f"{one.tool} {one.severity}" for one in ruling.issue.findings)
        text += f" (tools disagree: {', '.join(each)})"
    result: dict[str, Any] = {
        "ruleId": shown(finding.rule),
        "ruleIndex": index,
        "level": _LEVELS[ruling.issue.severity],
        "message": {"text": text},
        "locations": [_location(finding)],
        "partialFingerprints": {FINGERPRINT: finding.identity},
        "properties": {"treatment": str(ruling.treatment), "said": shown(finding.said)},
    }
    if ruling.treatment is Treatment.KNOWN:
        result["baselineState"] = "unchanged"
    kind = _SUPPRESSED.get(ruling.treatment)
    if kind:
        result["suppressions"] = [{"kind": kind, "justification": why(ruling)}]
    return result


def _location(finding: Finding) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.place.path)}}
    if finding.place.line > 0:
        physical["region"] = {"startLine": finding.place.line}
    return {"physicalLocation": physical}


def _uri(path: str) -> str:
    """A relative URI; whatever is not one (an image's name) is written as one."""
    encoded = quote(path.encode("utf-8", "surrogateescape"), safe="/@:+,=~._-")
    if ":" in encoded.partition("/")[0]:
        encoded = encoded.replace(":", "%3A")
    return encoded.lstrip("/") or "."


def _invocation(gaps: Iterable[Gap]) -> Mapping[str, Any]:
    notifications = [
        {
            "level": "error" if gap.blocks else "warning",
            "message": {"text": f"not judged: {shown(gap.what.name)}: {shown(gap.what.reason)}"},
        }
        for gap in gaps
    ]
    return {
        "executionSuccessful": not notifications,
        "toolExecutionNotifications": notifications,
    }
