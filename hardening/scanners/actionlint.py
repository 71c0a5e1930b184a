"""actionlint: mistakes in GitHub workflows; used where it is installed (no wheel has it)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from hardening.model import Finding, NotScanned, Place, Scan, Severity
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.files import line_of, without_values
from hardening.scanners.foreign import Foreign, below, parse_list
from hardening.scanners.programs import Versions
from hardening.scanners.running import Plan, Reading, scan_by_plan
from hardening.scanners.workflows import WorkflowSettings, workflows_below

SUPPORTED = Versions((1, 7), (2,))

_CONTROL = "on: push\njobs:\n  control:\n    runs-on: ubuntu-latest\n    unknown: 1\n"

_NOT_PARSED = "could not parse as YAML"
_UNTRUSTED = "potentially untrusted"


class ActionlintSettings(WorkflowSettings):
    """``[scanner.NAME]`` with ``kind = "actionlint"``."""


class _Found(Foreign):
    message: str
    filepath: str
    line: int
    kind: str


class Actionlint:
    """The scanner."""

    tool = "actionlint"

    def __init__(self, settings: ActionlintSettings, circumstances: Circumstances) -> None:
        self._settings = settings
        self._circumstances = circumstances

    @classmethod
    def settings(cls) -> type[BaseModel]:
        return ActionlintSettings

    @classmethod
    def from_settings(cls, settings: BaseModel, circumstances: Circumstances) -> Actionlint:
        assert isinstance(settings, ActionlintSettings)
        return cls(settings, circumstances)

    def expected(self, root: Path) -> tuple[str, ...]:
        return workflows_below(root, self._settings.paths)

    def scan(self, request: Request) -> Scan:
        files = self.expected(request.root)
        control = request.scratch / "control.yml"
        control.write_text(_CONTROL)
        configuration = request.scratch / "actionlint.yaml"
        configuration.write_text("{}\n")
        plan = Plan(
            tool=self.tool,
            program="actionlint",
            supported=SUPPORTED,
            args=[
                *("-format", "{{json .}}", "-no-color", "-shellcheck=", "-pyflakes="),
                *("-config-file", str(configuration)),
            ],
            expected=files,
            files=files,
            read=lambda raw: read(raw, request.root, files),
            control=str(control),
            version_args=("-version",),
        )
        return scan_by_plan(plan, request, self._circumstances)


def read(raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
    """``actionlint -format '{{json .}}'`` over ``files``.

    Raises:
        Unreadable: it is not.
    """
    report = parse_list(_Found, raw)
    broken = {
        below(root, one.filepath): one.message
        for one in report
        if one.message.startswith(_NOT_PARSED)
    }
    return Reading(
        scanned=tuple(name for name in files if name not in broken),
        not_scanned=tuple(NotScanned(name, reason) for name, reason in sorted(broken.items())),
        findings=tuple(
            _finding(one, root) for one in report if not one.message.startswith(_NOT_PARSED)
        ),
    )


def _finding(found: _Found, root: Path) -> Finding:
    name = below(root, found.filepath)
    injected = _UNTRUSTED in found.message
    return Finding(
        tool="actionlint",
        rule="untrusted-input" if injected else found.kind,
        title=found.message[:500],
        # it has no levels; input of strangers in a script is what zizmor calls high
        severity=Severity.HIGH if injected else Severity.MEDIUM,
        place=Place(name, found.line),
        evidence=without_values(line_of(root / name, found.line)),
    )
