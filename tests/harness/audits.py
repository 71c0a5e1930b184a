"""Reading what scanners report. Their exit codes are not trusted.

pip-audit exits 0 and says that no vulnerability is known where it could look up none; bandit exits
0 when it could not parse a file. So the report is read, and what was not looked at is no pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from restoreproof.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Audit:
    """What a scanner looked at, what it did not, and what it found; each one readable line.

    ``accepted`` holds findings that the code itself answers, with a reason beside.
    """

    looked_at: tuple[str, ...]
    not_looked_at: tuple[str, ...]
    findings: tuple[str, ...]
    accepted: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Findings fail; anything left out, or nothing looked at, is inconclusive."""
        if self.findings:
            return Verdict.FAILED
        if self.not_looked_at or not self.looked_at:
            return Verdict.INCONCLUSIVE
        return Verdict.PASSED


def _document(report: str, key: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(report)
    except ValueError:
        return None
    return document if isinstance(document, dict) and isinstance(document.get(key), list) else None


def _unreadable(expected: Collection[str]) -> Audit:
    return Audit((), ("the report is empty or not in the known format", *sorted(expected)), ())


def read_bandit(report: str, files: Collection[str]) -> Audit:
    """Read ``bandit --format json``.

    Args:
        report: what bandit wrote.
        files: the files it was to look at, as it spells them.
    """
    document = _document(report, "results")
    if document is None:
        return _unreadable(files)
    errors = {f"{error['filename']}": f"{error['reason']}" for error in document["errors"]}
    looked_at = set(document["metrics"]) - {"_totals"} - set(errors)
    findings: dict[bool, list[str]] = {True: [], False: []}
    for found in document["results"]:
        findings[_is_answered(found)].append(
            f"{found['filename']}:{found['line_number']}: {found['test_id']} {found['issue_text']}"
        )
    return Audit(
        looked_at=tuple(sorted(looked_at)),
        not_looked_at=tuple(
            f"{name}: {errors.get(name, 'not in the report')}"
            for name in sorted({*files, *errors} - looked_at)
        ),
        findings=tuple(findings[False]),
        accepted=tuple(findings[True]),
    )


def _is_answered(found: Mapping[str, Any]) -> bool:
    """Whether the line says ``noqa`` and why, for the same rule: ruff's S108 is bandit's B108."""
    rule = found["test_id"].replace("B", "S", 1)
    answer = rf"^{found['line_number']} .*# noqa: (?:\w+, ?)*{rule}\b\W+\w"
    return re.search(answer, found["code"], re.MULTILINE) is not None


def read_pip_audit(report: str, packages: Collection[str]) -> Audit:
    """Read ``pip-audit --format json``.

    Args:
        report: what pip-audit wrote.
        packages: the names of the packages it was to look up, in any spelling.
    """
    document = _document(report, "dependencies")
    if document is None:
        return _unreadable(packages)
    looked_at: set[str] = set()
    skipped: dict[str, str] = {}
    findings: list[str] = []
    for package in document["dependencies"]:
        name = canonical(str(package["name"]))
        vulnerabilities = package.get("vulns")
        if not isinstance(vulnerabilities, list):
            skipped[name] = str(package.get("skip_reason", "no answer"))
            continue
        looked_at.add(name)
        findings += [
            f"{name} {package['version']}: {known['id']}, fixed in "
            f"{', '.join(known['fix_versions']) or 'no version'}"
            for known in vulnerabilities
        ]
    missing = {canonical(name) for name in packages} - looked_at
    return Audit(
        looked_at=tuple(sorted(looked_at)),
        not_looked_at=tuple(
            f"{name}: {skipped.get(name, 'not in the report')}" for name in sorted(missing)
        ),
        findings=tuple(findings),
    )


def canonical(name: str) -> str:
    """A package's name in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
