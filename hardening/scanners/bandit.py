"""bandit: Python source. Its report lists every file it read, and those it could not parse."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hardening.model import Cause, Finding, NotScanned, Place, Severity
from hardening.scanners.files import without_values
from hardening.scanners.foreign import Foreign, below, parse, severity
from hardening.scanners.plugin import FileScanner, PathSettings
from hardening.scanners.programs import Versions
from hardening.scanners.running import Reading
from restoreproof.config.model import ConfigPath

LEVELS = {"low": Severity.LOW, "medium": Severity.MEDIUM, "high": Severity.HIGH}


class BanditSettings(PathSettings):
    """``[scanner.NAME]`` with ``kind = "bandit"``."""

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


class Bandit(FileScanner[BanditSettings]):
    """The scanner."""

    tool = "bandit"
    model = BanditSettings
    supported = Versions((1, 8), (2,))
    control = (
        "control.py",
        "import pickle\n\n\ndef control(text, data):\n    exec(text)\n    pickle.loads(data)\n",
    )
    report = "bandit.json"
    largest = 16 << 20  # generated modules are long

    def accepts(self, path: PurePosixPath, _root: Path) -> bool:
        return path.suffix == ".py"

    def arguments(self, scratch: Path) -> Sequence[str]:
        configuration = self._settings.settings
        return (
            *(("-c", str(configuration)) if configuration else ()),
            # what the source answers is read by us, with its reason
            *("--quiet", "--ignore-nosec", "-x", "", "-f", "json"),
            *("-o", str(scratch / "bandit.json")),
        )

    def reading(self, raw: bytes, root: Path, _files: tuple[str, ...]) -> Reading:
        return read(raw, root)


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
