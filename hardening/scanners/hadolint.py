"""hadolint: Dockerfiles. Its report does not say what it read, so a control is scanned along."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from hardening.model import Cause, Finding, NotScanned, Place, Scan, Severity
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.dockerfiles import is_dockerfile
from hardening.scanners.files import files_below, line_of, without_values
from hardening.scanners.foreign import Foreign, below, parse_list, severity
from hardening.scanners.programs import Versions
from hardening.scanners.running import Plan, Reading, scan_by_plan
from restoreproof.config.model import Settings

SUPPORTED = Versions((2, 12), (3,))

LEVELS = {
    "error": Severity.MEDIUM,
    "warning": Severity.MEDIUM,
    "info": Severity.LOW,
    "style": Severity.INFO,
}

_CONTROL = "FROM debian:latest\n"
_NOT_PARSED = "DL1000"
_ABOUT = "https://github.com/hadolint/hadolint/wiki/"


class HadolintSettings(Settings):
    """``[scanner.NAME]`` with ``kind = "hadolint"``."""

    paths: tuple[str, ...] = (".",)
    """Files and folders, relative to the root; in folders, what is named like a Dockerfile."""


class _Found(Foreign):
    code: str
    file: str
    level: str
    line: int
    message: str


class Hadolint:
    """The scanner."""

    tool = "hadolint"

    def __init__(self, settings: HadolintSettings, circumstances: Circumstances) -> None:
        self._settings = settings
        self._circumstances = circumstances

    @classmethod
    def settings(cls) -> type[BaseModel]:
        return HadolintSettings

    @classmethod
    def from_settings(cls, settings: BaseModel, circumstances: Circumstances) -> Hadolint:
        assert isinstance(settings, HadolintSettings)
        return cls(settings, circumstances)

    def expected(self, root: Path) -> tuple[str, ...]:
        named = self._settings.paths
        return files_below(root, lambda path: is_dockerfile(path) or str(path) in named, named)

    def scan(self, request: Request) -> Scan:
        files = self.expected(request.root)
        control = request.scratch / "control.Dockerfile"
        control.write_text(_CONTROL)
        configuration = request.scratch / "hadolint.yaml"
        configuration.write_text("ignored: []\n")  # instead of one that lies about somewhere
        plan = Plan(
            tool=self.tool,
            program="hadolint",
            supported=SUPPORTED,
            args=[
                *("--format", "json", "--no-color", "--disable-ignore-pragma"),
                *("--config", str(configuration)),
            ],
            expected=files,
            files=files,
            read=lambda raw: read(raw, request.root, files),
            control=str(control),
        )
        return scan_by_plan(plan, request, self._circumstances)


def read(raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
    """``hadolint --format json`` over ``files``.

    Raises:
        Unreadable: it is not.
    """
    report = parse_list(_Found, raw)
    broken = {
        below(root, one.file): f"line {one.line}: {one.message}"
        for one in report
        if one.code == _NOT_PARSED
    }
    return Reading(
        scanned=tuple(name for name in files if name not in broken),
        not_scanned=tuple(
            NotScanned(
                name,
                f"could not be parsed, {reason}",
                "docker build may take it all the same: hadolint does not know every syntax",
                Cause.UNREADABLE,
            )
            for name, reason in sorted(broken.items())
        ),
        findings=tuple(_finding(one, root) for one in report if one.code != _NOT_PARSED),
    )


def _finding(found: _Found, root: Path) -> Finding:
    name = below(root, found.file)
    return Finding(
        tool="hadolint",
        rule=found.code,
        title=found.message,
        severity=severity(found.level, LEVELS),
        said=found.level,
        place=Place(name, found.line),
        evidence=without_values(line_of(root / name, found.line)),
        help=f"{_ABOUT}{found.code}" if found.code.startswith("DL") else "",
    )
