"""hadolint: Dockerfiles. Its report does not say what it read, so a control is scanned along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hardening.model import Cause, Finding, NotScanned, Place, Severity
from hardening.recognise import is_dockerfile
from hardening.scanners.files import line_of, without_values
from hardening.scanners.foreign import Foreign, below, parse_list, severity
from hardening.scanners.plugin import FileScanner, PathSettings
from hardening.scanners.programs import Versions
from hardening.scanners.running import Reading

LEVELS = {
    "error": Severity.MEDIUM,
    "warning": Severity.MEDIUM,
    "info": Severity.LOW,
    "style": Severity.INFO,
}

_NOT_PARSED = "DL1000"
_ABOUT = "https://github.com/hadolint/hadolint/wiki/"


class HadolintSettings(PathSettings):
    """``[scanner.NAME]`` with ``kind = "hadolint"``."""

    paths: tuple[str, ...] = (".",)
    """Files and folders, relative to the root; in folders, what is named like a Dockerfile."""


class _Found(Foreign):
    code: str
    file: str
    level: str
    line: int
    message: str


class Hadolint(FileScanner[HadolintSettings]):
    """The scanner."""

    tool = "hadolint"
    model = HadolintSettings
    supported = Versions((2, 12), (3,))
    control = ("control.Dockerfile", "FROM debian:latest\n")
    configuration = ("hadolint.yaml", "ignored: []\n")

    def accepts(self, path: PurePosixPath, root: Path) -> bool:
        return is_dockerfile(root / path)

    def arguments(self, scratch: Path) -> Sequence[str]:
        return (
            *("--format", "json", "--no-color", "--disable-ignore-pragma"),
            *("--config", str(scratch / "hadolint.yaml")),
        )

    def reading(self, raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
        return read(raw, root, files)


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
