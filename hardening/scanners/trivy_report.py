"""Reading what Trivy reports, format version 2."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import Field

from hardening.model import Cause, Finding, NotScanned, Place, Severity
from hardening.scanners.files import line_of, without_values
from hardening.scanners.foreign import Foreign, Unreadable, below, parse, severity
from hardening.scanners.locks import unread
from hardening.scanners.running import Reading

LEVELS = {
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
    "unknown": Severity.UNKNOWN,
}

_FORMAT = 2
_SYSTEM = "os-pkgs"


class _Vulnerability(Foreign):
    id: str = Field(alias="VulnerabilityID")
    package: str = Field(alias="PkgName")
    installed: str = Field(alias="InstalledVersion")
    severity: str = Field(alias="Severity")
    fixed: str = Field(alias="FixedVersion", default="")
    title: str = Field(alias="Title", default="")
    url: str = Field(alias="PrimaryURL", default="")
    path: str = Field(alias="PkgPath", default="")
    disclosed: datetime | None = Field(alias="PublishedDate", default=None, strict=False)
    vendors: list[str] = Field(alias="VendorIDs", default=[])


class _Cause(Foreign):
    line: int = Field(alias="StartLine", default=0)


class _Misconfiguration(Foreign):
    id: str = Field(alias="ID")
    title: str = Field(alias="Title")
    message: str = Field(alias="Message", default="")
    resolution: str = Field(alias="Resolution", default="")
    severity: str = Field(alias="Severity")
    url: str = Field(alias="PrimaryURL", default="")
    status: str = Field(alias="Status")
    cause: _Cause = Field(alias="CauseMetadata", default=_Cause())


class _Secret(Foreign):
    rule: str = Field(alias="RuleID")
    title: str = Field(alias="Title")
    severity: str = Field(alias="Severity")
    line: int = Field(alias="StartLine", default=0)


class _Result(Foreign):
    target: str = Field(alias="Target")
    kind: str = Field(alias="Class", default="")
    packages: list[object] = Field(alias="Packages", default=[])
    vulnerabilities: list[_Vulnerability] = Field(alias="Vulnerabilities", default=[])
    misconfigurations: list[_Misconfiguration] = Field(alias="Misconfigurations", default=[])
    secrets: list[_Secret] = Field(alias="Secrets", default=[])


class _System(Foreign):
    family: str = Field(alias="Family", default="")
    name: str = Field(alias="Name", default="")
    unsupported: bool = Field(alias="EOSL", default=False)


class _Metadata(Foreign):
    system: _System | None = Field(alias="OS", default=None)


class _Report(Foreign):
    version: int = Field(alias="SchemaVersion")
    artifact: str = Field(alias="ArtifactName")
    metadata: _Metadata = Field(alias="Metadata", default=_Metadata())
    results: list[_Result] = Field(alias="Results", default=[])


def read(
    raw: bytes,
    root: Path,
    mode: str,
    expected: tuple[str, ...],
    locks: tuple[str, ...] = (),
    start: str = ".",
) -> Reading:
    """``trivy --format json``.

    Args:
        raw: the report.
        root: the folder that was scanned.
        mode: of the scan.
        expected: Dockerfiles with ``config``, else the one folder, image or SBOM.
        locks: what it has to have read with ``fs``, relative to the root.
        start: the folder below the root that it was given.

    Raises:
        Unreadable: it is not.
    """
    report = parse(_Report, raw)
    if report.version != _FORMAT:
        raise Unreadable(f"the report is of version {report.version}, known is {_FORMAT}")
    inside = f"{report.artifact}: " if mode == "image" else ""
    findings: list[Finding] = []
    for result in report.results:
        name = below(root, result.target)
        findings += [_vulnerability(one, inside, name) for one in result.vulnerabilities]
        findings += [_secret(one, inside + name) for one in result.secrets]
        findings += [
            _misconfiguration(one, root, inside, name)
            for one in result.misconfigurations
            if one.status == "FAIL"
        ]
    findings += _unsupported(report)
    gaps: tuple[NotScanned, ...] = ()
    scanned = expected
    if mode == "config":
        seen = {below(root, one.target) for one in report.results if one.kind == "config"}
        scanned = tuple(sorted(seen))
    elif mode in {"fs", "image", "sbom"}:
        packages = sum(len(one.packages) for one in report.results)
        reason = _not_looked_up(report, packages)
        if reason and expected:
            scanned = ()
            gaps = (NotScanned(expected[0], reason, cause=Cause.SKIPPED),)
        targets = {one.target for one in report.results if one.packages}
        known = {below(root, name) for one in targets for name in (one, f"{start}/{one}")}
        gaps += unread(locks, known)
        facts = {"packages": str(packages)}
        system = report.metadata.system
        if system is not None and system.family:
            facts["system"] = f"{system.family} {system.name}".strip()
        return Reading(scanned, gaps, tuple(findings), facts=facts)
    return Reading(scanned, gaps, tuple(findings))


def _vulnerability(found: _Vulnerability, inside: str, target: str) -> Finding:
    subject = f"{found.package}@{found.installed}"
    return Finding(
        tool="trivy",
        rule=found.id,
        title=found.title or f"{found.package} has a known vulnerability, {found.id}",
        severity=severity(found.severity, LEVELS),
        said=found.severity,
        place=Place(inside + (found.path or target), 0, subject),
        evidence=subject,
        fix=f"update to {found.fixed}" if found.fixed else "",
        help=found.url,
        aliases=tuple(found.vendors),
        disclosed=found.disclosed if found.disclosed and found.disclosed.tzinfo else None,
    )


def _misconfiguration(found: _Misconfiguration, root: Path, inside: str, name: str) -> Finding:
    line = found.cause.line
    return Finding(
        tool="trivy",
        rule=found.id,
        title=found.message or found.title,
        severity=severity(found.severity, LEVELS),
        said=found.severity,
        place=Place(inside + name, line),
        evidence="" if inside else without_values(line_of(root / name, line)),
        fix=found.resolution,
        help=found.url,
    )


def _secret(found: _Secret, name: str) -> Finding:
    return Finding(
        tool="trivy",
        rule=found.rule,
        title=f"a secret lies open: {found.title}",
        severity=severity(found.severity, LEVELS),
        said=found.severity,
        place=Place(name, found.line),
        evidence=found.rule,
        fix="revoke it, then take it out of the file and of its history",
    )


def _not_looked_up(report: _Report, packages: int) -> str:
    """Why the packages, or those of the system, were not looked up; empty where they were."""
    if not packages:
        return "no package was found in it: nothing was looked up"
    system = report.metadata.system
    if system is None or any(one.packages for one in report.results if one.kind == _SYSTEM):
        return ""
    name = f"{system.family} {system.name}".strip()
    return f"it is a {name}, but the list of its system's packages is not there"


def _unsupported(report: _Report) -> list[Finding]:
    """A system that gets no advisories any more would look free of vulnerabilities."""
    system = report.metadata.system
    if system is None or not system.unsupported:
        return []
    name = f"{system.family} {system.name}".strip()
    return [
        Finding(
            tool="trivy",
            rule="end-of-life",
            title=f"{name} gets no security updates any more; nothing would be found in it",
            severity=Severity.HIGH,
            place=Place(report.artifact, 0, name),
            evidence=name,
            fix="move to a version that is supported",
        )
    ]
