"""bandit: Python source. Its report lists every file it read, and those it could not parse."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel

from hardening.model import Cause, Finding, NotScanned, Place, Scan, Severity
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.files import files_below, without_values
from hardening.scanners.foreign import Foreign, below, parse, severity
from hardening.scanners.programs import Versions
from hardening.scanners.running import Plan, Reading, scan_by_plan
from restoreproof.config.model import ConfigPath, Settings

SUPPORTED = Versions((1, 8), (2,))

LEVELS = {"low": Severity.LOW, "medium": Severity.MEDIUM, "high": Severity.HIGH}

_CONTROL = "import pickle\n\n\ndef control(text, data):\n    exec(text)\n    pickle.loads(data)\n"


class BanditSettings(Settings):
    """``[scanner.NAME]`` with ``kind = "bandit"``."""

    paths: tuple[str, ...] = (".",)
    """Files and folders, relative to the root."""
    settings: ConfigPath | None = None
    """Its own configuration, such as ``pyproject.toml``."""


class _Error(Foreign):
    filename: str
    reason: str


class _Result(Foreign):
    filename: str
    line_number: int
    test_id: str
    issue_text: str
    issue_severity: str
    more_info: str = ""
    code: str = ""


class _Report(Foreign):
    errors: list[_Error]
    metrics: dict[str, dict[str, float]]
    results: list[_Result]


class Bandit:
    """The scanner."""

    tool = "bandit"

    def __init__(self, settings: BanditSettings, circumstances: Circumstances) -> None:
        self._settings = settings
        self._circumstances = circumstances

    @classmethod
    def settings(cls) -> type[BaseModel]:
        return BanditSettings

    @classmethod
    def from_settings(cls, settings: BaseModel, circumstances: Circumstances) -> Bandit:
        assert isinstance(settings, BanditSettings)
        return cls(settings, circumstances)

    def expected(self, root: Path) -> tuple[str, ...]:
        return files_below(root, lambda path: path.suffix == ".py", self._settings.paths)

    def scan(self, request: Request) -> Scan:
        files = self.expected(request.root)
        control = request.scratch / "control.py"
        control.write_text(_CONTROL)
        report = request.scratch / "bandit.json"
        configuration = self._settings.settings
        plan = Plan(
            tool=self.tool,
            program="bandit",
            supported=SUPPORTED,
            args=[
                *(("-c", str(configuration)) if configuration else ()),
                # what the source answers is read by us, with its reason
                *("--quiet", "--ignore-nosec", "-x", "", "-f", "json", "-o", str(report)),
            ],
            expected=files,
            files=files,
            read=lambda raw: read(raw, request.root),
            report=report,
            control=str(control),
        )
        return scan_by_plan(plan, request, self._circumstances)


def read(raw: bytes, root: Path) -> Reading:
    """``bandit --format json``.

    Raises:
        Unreadable: it is not.
    """
    report = parse(_Report, raw)
    errors = {below(root, one.filename): one.reason for one in report.errors}
    read_ = {below(root, name) for name in report.metrics if name != "_totals"}
    return Reading(
        scanned=tuple(sorted(read_ - set(errors))),
        not_scanned=tuple(
            NotScanned(name, reason, cause=Cause.UNREADABLE) for name, reason in errors.items()
        ),
        findings=tuple(_finding(one, root) for one in report.results),
    )


def _finding(found: _Result, root: Path) -> Finding:
    lines = dict(_numbered(found.code))
    line = lines.get(found.line_number, "")
    return Finding(
        tool="bandit",
        rule=found.test_id,
        title=found.issue_text,
        severity=severity(found.issue_severity, LEVELS),
        said=found.issue_severity,
        place=Place(below(root, found.filename), found.line_number),
        evidence=without_values(line.partition("#")[0]),
        help=found.more_info,
        answered=_answer(found.test_id, line),
    )


def _answer(rule: str, line: str) -> str:
    """The reason beside ``noqa`` for the same rule (ruff's S108 is bandit's B108), or nothing."""
    same = rule.replace("B", "S", 1)
    found = re.search(rf"# noqa: (?:\w+, ?)*{same}\b(?:, ?\w+)*\W+(\w.*)$", line)
    return found[1].strip() if found else ""


def _numbered(code: str) -> list[tuple[int, str]]:
    found = (re.match(r"(\d+) (.*)", line) for line in code.splitlines())
    return [(int(one[1]), one[2]) for one in found if one]
