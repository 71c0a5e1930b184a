"""check-jsonschema: whether workflows are what GitHub reads: unknown keys, missing time limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hardening.model import Cause, Finding, NotScanned, Place, Scan, Severity
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.foreign import Foreign, below, parse
from hardening.scanners.programs import Versions
from hardening.scanners.running import Reading, scan_by_plan
from hardening.scanners.workflows import WorkflowScanner, WorkflowSettings

SCHEMAS = {
    "vendor.github-workflows": Severity.MEDIUM,
    "custom.github-workflows-require-timeout": Severity.LOW,
}
"""The schemas that are applied, and how bad it is not to follow them: the tool has no levels."""


class CheckJsonschemaSettings(WorkflowSettings):
    """``[scanner.NAME]`` with ``kind = "check-jsonschema"``."""


class _Match(Foreign):
    path: str
    message: str


class _Error(Foreign):
    filename: str
    path: str
    message: str
    best_deep_match: _Match | None = None


class _ParseError(Foreign):
    filename: str
    message: str


class _Report(Foreign):
    status: str
    errors: list[_Error]
    parse_errors: list[_ParseError]


class CheckJsonschema(WorkflowScanner[CheckJsonschemaSettings]):
    """The scanner: one run a schema."""

    tool = "check-jsonschema"
    model = CheckJsonschemaSettings
    supported = Versions((0, 31), (1,))
    control = (
        "control.yml",
        "on: push\nunknown: 1\njobs:\n  control:\n    runs-on: x\n    steps: [{run: 'true'}]\n",
    )

    def __init__(
        self,
        settings: CheckJsonschemaSettings,
        circumstances: Circumstances,
        schema: str = next(iter(SCHEMAS)),
    ) -> None:
        super().__init__(settings, circumstances)
        self._schema = schema

    def arguments(self, _scratch: Path) -> Sequence[str]:
        return ("--output-format", "json", "-v", "--builtin-schema", self._schema)

    def reading(self, raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
        return read(raw, root, files, self._schema)

    def scan(self, request: Request) -> Scan:
        there = self.there(request.root)
        scans = []
        for schema in SCHEMAS:
            one = CheckJsonschema(self._settings, self._circumstances, schema)
            scans.append(scan_by_plan(one.plan(request, there), request, self._circumstances))
            if any(gap.cause is Cause.TIME for gap in scans[-1].not_scanned):
                break  # another one would take as long again
        return _both(scans)


def _both(scans: list[Scan]) -> Scan:
    """Only what every schema was applied to was scanned."""
    scanned = set.intersection(*(set(one.scanned) for one in scans))
    return replace(
        scans[0],
        scanned=tuple(sorted(scanned)),
        not_scanned=tuple(dict.fromkeys(gap for one in scans for gap in one.not_scanned)),
        findings=tuple(found for one in scans for found in one.findings),
        seconds=sum(one.seconds for one in scans),
    )


def read(raw: bytes, root: Path, files: tuple[str, ...], schema: str) -> Reading:
    """``check-jsonschema --output-format json`` over ``files``.

    Raises:
        Unreadable: it is not.
    """
    report = parse(_Report, raw)
    broken = {below(root, one.filename): one.message for one in report.parse_errors}
    return Reading(
        scanned=tuple(name for name in files if name not in broken),
        not_scanned=tuple(
            NotScanned(name, reason, cause=Cause.UNREADABLE)
            for name, reason in sorted(broken.items())
        ),
        findings=tuple(_finding(one, root, schema) for one in report.errors),
    )


def _finding(found: _Error, root: Path, schema: str) -> Finding:
    best = found.best_deep_match or _Match(path=found.path, message=found.message)
    return Finding(
        tool="check-jsonschema",
        rule=schema,
        title=best.message[:500],
        severity=SCHEMAS[schema],
        place=Place(below(root, found.filename), subject=best.path),
        evidence=best.path,
    )
