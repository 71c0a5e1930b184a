"""compose-lint: Compose files. Its report lists what it could not read, not what it read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pydantic import Field

from hardening.model import Cause, Finding, NotScanned, Place, Severity
from hardening.recognise import is_compose, overridden
from hardening.scanners.files import line_of, without_values
from hardening.scanners.foreign import Foreign, Unreadable, below, parse, severity
from hardening.scanners.plugin import FileScanner, PathSettings
from hardening.scanners.programs import Versions
from hardening.scanners.running import Reading

LEVELS = {
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}

_FORMAT = "2"


class ComposeLintSettings(PathSettings):
    """``[scanner.NAME]`` with ``kind = "compose-lint"``."""

    paths: tuple[str, ...] = (".",)
    """Files and folders, relative to the root; in folders, what is named like a Compose file."""


class _Tool(Foreign):
    name: str
    version: str


class _Found(Foreign):
    file: str
    line: int | None
    rule_id: str
    severity: str
    service: str | None
    message: str
    fix: str | None = None
    references: tuple[str, ...] = Field(default=(), strict=False)
    suppressed: bool


class _Problem(Foreign):
    file: str | None = None
    message: str


class _Report(Foreign):
    version: str
    tool: _Tool
    findings: list[_Found]
    errors: list[_Problem]
    warnings: list[_Problem]


class ComposeLint(FileScanner[ComposeLintSettings]):
    """The scanner."""

    tool = "compose-lint"
    model = ComposeLintSettings
    supported = Versions((0, 30), (1,))
    control = (
        "compose.yaml",
        "services:\n  control:\n    image: control\n    privileged: true\n",
    )
    configuration = ("compose-lint.yml", "rules: {}\n")

    def accepts(self, path: PurePosixPath, root: Path) -> bool:
        """All but what it merges by itself: ``compose.override.yaml`` beside ``compose.yaml``."""
        here = root / path
        is_merged = any(Path(base).is_file() for base in overridden(here))
        return is_compose(here) and not is_merged

    def arguments(self, scratch: Path) -> Sequence[str]:
        return ("check", "--format", "json", "--config", str(scratch / "compose-lint.yml"))

    def reading(self, raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
        return read(raw, root, files)


def read(raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
    """``compose-lint check --format json`` over ``files``.

    Raises:
        Unreadable: it is not.
    """
    report = parse(_Report, raw)
    if report.version != _FORMAT:
        raise Unreadable(f"the report is of version {report.version[:20]}, known is {_FORMAT}")
    broken = {
        below(root, one.file) if one.file else "compose-lint": one.message
        for one in (*report.errors, *report.warnings)
    }
    return Reading(
        scanned=tuple(name for name in files if name not in broken),
        not_scanned=tuple(
            NotScanned(name, reason, cause=Cause.UNREADABLE)
            for name, reason in sorted(broken.items())
        ),
        findings=tuple(_finding(one, root) for one in report.findings),
    )


def _finding(found: _Found, root: Path) -> Finding:
    name = below(root, found.file)
    return Finding(
        tool="compose-lint",
        rule=found.rule_id,
        title=found.message,
        severity=severity(found.severity, LEVELS),
        said=found.severity,
        place=Place(name, found.line or 0, found.service or ""),
        evidence=without_values(line_of(root / name, found.line or 0)),
        fix=found.fix or "",
        help=next((one for one in found.references if one.startswith("https://")), ""),
    )
