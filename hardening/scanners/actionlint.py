"""actionlint: mistakes in GitHub workflows; used where it is installed (no wheel has it)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hardening.model import Finding, NotScanned, Place, Severity
from hardening.scanners.files import line_of, without_values
from hardening.scanners.foreign import Foreign, below, parse_list
from hardening.scanners.programs import Versions
from hardening.scanners.running import Reading
from hardening.scanners.workflows import WorkflowScanner, WorkflowSettings

_NOT_PARSED = "could not parse as YAML"
_UNTRUSTED = "potentially untrusted"


class ActionlintSettings(WorkflowSettings):
    """``[scanner.NAME]`` with ``kind = "actionlint"``."""


class _Found(Foreign):
    message: str
    filepath: str
    line: int
    kind: str


class Actionlint(WorkflowScanner[ActionlintSettings]):
    """The scanner."""

    tool = "actionlint"
    model = ActionlintSettings
    supported = Versions((1, 7), (2,))
    control = (
        "control.yml",
        "on: push\njobs:\n  control:\n    runs-on: ubuntu-latest\n    unknown: 1\n",
    )
    configuration = ("actionlint.yaml", "{}\n")
    version_args = ("-version",)

    def arguments(self, scratch: Path) -> Sequence[str]:
        return (
            *("-format", "{{json .}}", "-no-color", "-shellcheck=", "-pyflakes="),
            *("-config-file", str(scratch / "actionlint.yaml")),
        )

    def reading(self, raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
        return read(raw, root, files)


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
