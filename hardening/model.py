"""The vocabulary of hardening: frozen data, no behaviour worth mentioning.

A scanner's exit code is never in here. A :class:`Scan` says what was looked at, what was not, and
what was found; the policy makes a verdict of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is, whatever the tool calls it; ``unknown`` blocks until looked up."""

    UNKNOWN = "unknown"
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """From 1 (info) to 5 (critical); unknown counts as critical, since it may be that."""
        return _RANKS[self]


_RANKS = {
    Severity.INFO: 1,
    Severity.LOW: 2,
    Severity.MEDIUM: 3,
    Severity.HIGH: 4,
    Severity.CRITICAL: 5,
    Severity.UNKNOWN: 5,
}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a finding is.

    Attributes:
        path: of a file, relative to what was scanned, with ``/``; or an image, or a container.
        line: from 1; 0 where a line means nothing.
        subject: what in there: a service, a package with its version, an instruction; or empty.
    """

    path: str
    line: int = 0
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a tool reports.

    Attributes:
        tool: name of the scanner's kind, such as ``trivy``; ``restoreproof`` for rules of our own.
        rule: as the tool spells it: ``DS-0002``, ``CVE-2024-1234``, ``B108``.
        title: one sentence for people; never part of the identity.
        severity: normalised.
        said: the tool's own word for the severity, verbatim; empty where it gave none.
        place: where.
        evidence: what stays the same when lines move: the instruction, the key, the package.
        fix: what makes it go away (a version, a change); empty where nothing does yet.
        help: where to read more; an address or empty.
        aliases: other names of the same rule or vulnerability.
    """

    tool: str
    rule: str
    title: str
    severity: Severity
    place: Place
    said: str = ""
    evidence: str = ""
    fix: str = ""
    help: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Hex SHA-256 over tool, rule, path, subject and evidence: no line and no prose."""
        joined = hashlib.sha256()
        for part in (self.tool, self.rule, self.place.path, self.place.subject, self.evidence):
            encoded = part.encode("utf-8", "surrogateescape")
            joined.update(len(encoded).to_bytes(8, "big") + encoded)
        return joined.hexdigest()


@dataclass(frozen=True, slots=True)
class NotScanned:
    """Something that should have been looked at and was not, and why."""

    name: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scanner did, as its report tells it, never as its exit code does.

    Attributes:
        tool: name of the scanner's kind.
        version: of the tool, as it says it; empty where it did not run.
        scanned: what was looked at.
        not_scanned: what was not, with reasons; a scan without any ``scanned`` judges nothing.
        findings: in no particular order.
        data_from: how old the vulnerability data is; None where the tool needs none, or says none.
        seconds: wall time.
        facts: what else is worth a line, such as ``{"database": "2026-11-24"}``.
    """

    tool: str
    version: str
    scanned: tuple[str, ...] = ()
    not_scanned: tuple[NotScanned, ...] = ()
    findings: tuple[Finding, ...] = ()
    data_from: datetime | None = None
    seconds: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)
