"""compose-lint: Compose files. Its report lists what it could not read, not what it read."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pydantic import BaseModel, Field

from hardening.model import Cause, Finding, NotScanned, Place, Scan, Severity
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.files import files_below, line_of, without_values
from hardening.scanners.foreign import Foreign, Unreadable, below, parse, severity
from hardening.scanners.programs import Versions
from hardening.scanners.running import Plan, Reading, scan_by_plan
from restoreproof.config.model import Settings

SUPPORTED = Versions((0, 30), (1,))

LEVELS = {
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}

_CONTROL = "services:\n  control:\n    image: control\n    privileged: true\n"
_NAMES = ("compose", "docker-compose")
_FORMAT = "2"


class ComposeLintSettings(Settings):
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


class ComposeLint:
    """The scanner."""

    tool = "compose-lint"

    def __init__(self, settings: ComposeLintSettings, circumstances: Circumstances) -> None:
        self._settings = settings
        self._circumstances = circumstances

    @classmethod
    def settings(cls) -> type[BaseModel]:
        return ComposeLintSettings

    @classmethod
    def from_settings(cls, settings: BaseModel, circumstances: Circumstances) -> ComposeLint:
        assert isinstance(settings, ComposeLintSettings)
        return cls(settings, circumstances)

    def expected(self, root: Path) -> tuple[str, ...]:
        named = self._settings.paths
        return files_below(root, lambda path: is_compose_file(path) or str(path) in named, named)

    def scan(self, request: Request) -> Scan:
        files = self.expected(request.root)
        control = request.scratch / "compose.yaml"
        control.write_text(_CONTROL)
        configuration = request.scratch / "compose-lint.yml"
        configuration.write_text("rules: {}\n")  # instead of one that lies about somewhere
        plan = Plan(
            tool=self.tool,
            program="compose-lint",
            supported=SUPPORTED,
            args=[
                *("check", "--format", "json", "--config", str(configuration)),
            ],
            expected=files,
            files=files,
            read=lambda raw: read(raw, request.root, files),
            control=str(control),
        )
        return scan_by_plan(plan, request, self._circumstances)


def is_compose_file(path: PurePosixPath) -> bool:
    """Whether a file is named as Compose names its own; overrides are merged into these."""
    stem = path.name.partition(".")[0]
    return stem in _NAMES and path.suffix in {".yaml", ".yml"} and ".override." not in path.name


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
