"""pip-audit: known vulnerabilities in pinned Python packages.

Where its service knows no package (a mirror without the JSON of each version) it says that no
vulnerability was found and ends with 0; what it skipped stands in its report alone. Its report has
no severities: they are unknown until another tool, or the policy, gives them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field

from hardening.model import Cause, Finding, NotScanned, Place, Scan, Severity
from hardening.scanners.base import Request
from hardening.scanners.files import There, there_is, vendored_below
from hardening.scanners.foreign import Foreign, NoData, parse
from hardening.scanners.locks import is_requirements
from hardening.scanners.plugin import Plugin
from hardening.scanners.programs import Versions, network_env
from hardening.scanners.running import Plan, Reading, not_asked, scan_by_plan
from restoreproof.config.model import Settings

CONTROLS = (("jinja2", "2.10"), ("pyyaml", "5.1"), ("django", "1.2"), ("urllib3", "1.24"))
"""Versions that every service knows to be vulnerable; the first that is nowhere pinned is used."""

_LARGEST_LOCK = 16 << 20
"""Bytes."""

OWN = "own"
"""What ``vendored`` says of a folder that is no copy of a package."""

_BRINGS = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
_EDITABLE = ("-e", "--editable")
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
_UNREACHABLE = re.compile(
    r"ConnectionError|Max retries exceeded|Could not connect|NameResolution|name resolution|"
    r"Connection refused|ProxyError|SSLError|ReadTimeout|ConnectTimeout"
)


class PipAuditSettings(Settings):
    """``[scanner.NAME]`` with ``kind = "pip-audit"``."""

    requirements: tuple[str, ...] = ()
    """Locks with exact versions and hashes, relative to the root; patterns may be used. All that
    are named like pip's (``requirements-dev.txt``, ``requirements/a.txt``) by default."""
    service: Literal["pypi", "osv"] = "pypi"
    """Who is asked."""
    osv_url: str | None = None
    """Address of another OSV service."""
    vendored: Mapping[str, str] = Field(default_factory=dict)
    """Copied packages without metadata: folder = ``"name==version"``, or ``"own"``."""


class _Vulnerability(Foreign):
    id: str
    fix_versions: list[str]
    aliases: list[str] = Field(default=[])
    description: str = ""


class _Dependency(Foreign):
    name: str
    version: str | None = None
    skip_reason: str | None = None
    vulns: list[_Vulnerability] | None = None


class _Report(Foreign):
    dependencies: list[_Dependency]


@dataclass(frozen=True, slots=True)
class Pin:
    """An exact version that stands somewhere."""

    name: str
    version: str
    path: str
    line: int = 0

    @property
    def subject(self) -> str:
        """How findings and gaps call it."""
        return f"{self.name}@{self.version}"


class PipAudit(Plugin[PipAuditSettings]):
    """The scanner."""

    tool = "pip-audit"
    model = PipAuditSettings
    supported = Versions((2, 9), (3,))

    def expected(self, root: Path) -> tuple[str, ...]:
        return self._there(root).names + tuple(sorted(self._settings.vendored))

    def _there(self, root: Path) -> There:
        """The locks, and what was written down and is not there."""
        patterns = self._settings.requirements
        there = there_is(
            root,
            lambda path: (
                any(fnmatchcase(str(path), pattern) for pattern in patterns)
                or ("requirements" not in self._settings.model_fields_set and is_requirements(path))
            ),
            most=_LARGEST_LOCK,
        )
        if "requirements" not in self._settings.model_fields_set:
            return there
        missing = tuple(
            NotScanned(pattern, "matches no file", "mend it in the configuration")
            for pattern in patterns
            if not any(fnmatchcase(name, pattern) for name in there.names)
        )
        return replace(there, gaps=(*there.gaps, *missing))

    def scan(self, request: Request) -> Scan:
        declared = self._settings.vendored
        there = self._there(request.root)
        files = [name for name in there.files if name not in declared]
        read_ = [one for name in files for one in pins_in(request.root, name, files)]
        pins = [one for one in read_ if isinstance(one, Pin)]
        gaps = [*there.gaps, *(one for one in read_ if isinstance(one, NotScanned))]
        pins += [_copy(path, pin) for path, pin in sorted(declared.items()) if pin != OWN]
        gaps += [
            _undeclared(path)
            for path in vendored_below(request.root)
            if path not in declared and next((request.root / path).rglob("*.py"), None)
        ]
        expected = {pin.subject for pin in pins}
        if request.offline:
            reason, hint = "no vulnerability service was asked: offline", "run it without --offline"
            scan = not_asked(self.tool, self._circumstances, tuple(sorted(expected)), reason, hint)
            return replace(scan, not_scanned=(*scan.not_scanned, *gaps))
        scans = [
            self._scan(layer, request, number) for number, layer in enumerate(layers(pins) or [[]])
        ]
        return replace(
            scans[0],
            # without the controls
            scanned=tuple(sorted({name for one in scans for name in one.scanned} & expected)),
            not_scanned=(*(gap for one in scans for gap in one.not_scanned), *gaps),
            findings=tuple(found for one in scans for found in one.findings),
            seconds=sum(one.seconds for one in scans),
        )

    def _scan(self, layer: list[Pin], request: Request, number: int) -> Scan:
        locked = request.scratch / f"pins-{number}.txt"
        names = {pin.name for pin in layer}
        known = next((one for one in CONTROLS if one[0] not in names), CONTROLS[0])
        pins = (*layer, Pin(*known, path=str(locked)))
        locked.write_text("".join(f"{one.name}=={one.version}\n" for one in _distinct(pins)))
        report = request.scratch / f"pip-audit-{number}.json"
        now = request.clock.now()
        plan = Plan(
            tool=self.tool,
            program="pip-audit",
            supported=self.supported,
            args=[
                *("-r", str(locked), "--no-deps", "--disable-pip", "--progress-spinner", "off"),
                *("--cache-dir", str(request.scratch / "cache")),
                *("-s", self._settings.service),
                *(("--osv-url", self._settings.osv_url) if self._settings.osv_url else ()),
                *("--format", "json", "--output", str(report)),
            ],
            expected=tuple(sorted({pin.subject for pin in layer})),
            read=lambda raw: read(raw, pins, now),
            report=report,
            control=str(locked),
            env=network_env(),
            unreachable=lambda said: _UNREACHABLE.search(said) is not None,
        )
        return scan_by_plan(plan, request, self._circumstances)


def layers(pins: list[Pin]) -> list[list[Pin]]:
    """The pins in as few lists as it takes for each to have one version of a package."""
    made: list[dict[str, str]] = []
    result: list[list[Pin]] = []
    for pin in pins:
        for versions, layer in zip(made, result, strict=True):
            if versions.setdefault(pin.name, pin.version) == pin.version:
                layer.append(pin)
                break
        else:
            made.append({pin.name: pin.version})
            result.append([pin])
    return result


def _distinct(pins: tuple[Pin, ...]) -> list[Pin]:
    return list({pin.subject: pin for pin in pins}.values())


def canonical(name: str) -> str:
    """A package's name in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins_in(root: Path, name: str, others: Collection[str] = ()) -> Iterator[Pin | NotScanned]:
    """The pins of a requirements file, for every system and Python, and what is no pin.

    Args:
        root: the folder that is scanned.
        name: of the file.
        others: files that are read as well, so that it may bring them in.
    """
    try:
        text = (root / name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        yield NotScanned(name, f"cannot be read: {error.strerror}")
        return
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith(("#", "--hash")):
            continue
        brought = _BRINGS.match(line)
        if brought and os.path.normpath(Path(name).parent / brought[1]) in others:
            continue
        if line.startswith("-") and not brought and not line.startswith(_EDITABLE):
            continue  # an option of pip's
        found = _PIN.match(line)
        if not found:
            reason = "is no exact version"
            yield NotScanned(f"{name}:{number}", reason, "pin it: name==version", Cause.SKIPPED)
            continue
        yield Pin(canonical(found[1]), found[2], name, number)


def read(raw: bytes, pins: tuple[Pin, ...], now: datetime) -> Reading:
    """``pip-audit --format json`` over ``pins``.

    Raises:
        Unreadable: it is not.
        NoData: no package at all was looked up.
    """
    report = parse(_Report, raw)
    scanned: set[str] = set()
    gaps: list[NotScanned] = []
    findings: list[Finding] = []
    for one in report.dependencies:
        name = canonical(one.name)
        if one.vulns is None or one.version is None:
            reason = one.skip_reason or "was given no answer"
            gaps += [
                NotScanned(pin.subject, reason, cause=Cause.SKIPPED)
                for pin in pins
                if pin.name == name
            ] or [NotScanned(name, reason, cause=Cause.SKIPPED)]
            continue
        subject = f"{name}@{one.version}"
        scanned.add(subject)
        sites = {pin.path: pin for pin in pins if pin.subject == subject}
        for found in one.vulns:
            places = list(sites.values()) or [Pin(name, one.version, "?")]
            findings += [_finding(found, pin) for pin in places]
    if gaps and not scanned:
        raise NoData("no package at all was looked up")
    return Reading(
        scanned=tuple(sorted(scanned)),
        not_scanned=tuple(dict.fromkeys(gaps)),
        findings=tuple(findings),
        data_from=now,
    )


def _finding(found: _Vulnerability, pin: Pin) -> Finding:
    return Finding(
        tool="pip-audit",
        rule=found.id,
        title=f"{pin.name} {pin.version} has a known vulnerability, {found.id}",
        severity=Severity.UNKNOWN,
        place=Place(pin.path, pin.line, pin.subject),
        evidence=pin.subject,
        fix=f"update to {' or '.join(found.fix_versions)}" if found.fix_versions else "",
        help=f"https://osv.dev/vulnerability/{found.id}",
        aliases=tuple(sorted(found.aliases)),
    )


def _copy(path: str, requirement: str) -> Pin:
    name, _, version = requirement.partition("==")
    return Pin(canonical(name.strip()), version.strip(), path)


def _undeclared(path: str) -> NotScanned:
    return NotScanned(
        path,
        "is a copy of a package without metadata: its version cannot be told",
        f'say what it is: vendored = {{ "{path}" = "name==version" }}, or "{OWN}"',
        Cause.SKIPPED,
    )
