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
        disclosed: when the vulnerability became known, where the tool says so.
        answered: the reason that stands beside the line itself, where the source answers the tool.
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
    disclosed: datetime | None = None
    answered: str = ""

    @property
    def identity(self) -> str:
        """Hex SHA-256 over tool, rule, path, subject and evidence: no line and no prose."""
        joined = hashlib.sha256()
        for part in (self.tool, self.rule, self.place.path, self.place.subject, self.evidence):
            encoded = part.encode("utf-8", "surrogateescape")
            joined.update(len(encoded).to_bytes(8, "big") + encoded)
        return joined.hexdigest()


class Cause(StrEnum):
    """Why something was not looked at. Only what is ``offline`` may be let pass by a policy."""

    OFFLINE = "offline"
    """The vulnerability data cannot be had from here."""
    STALE = "stale"
    """The vulnerability data is too old, or does not say how old it is."""
    MISSING = "missing"
    """The program is not installed, or in another version than the supported ones."""
    TIME = "time"
    """The time limit was reached."""
    UNREADABLE = "unreadable"
    """The tool could not read it, or we could not read the tool's report."""
    SKIPPED = "skipped"
    """The tool left it out."""


@dataclass(frozen=True, slots=True)
class NotScanned:
    """Something that should have been looked at and was not, and why."""

    name: str
    reason: str
    hint: str = ""
    cause: Cause = Cause.UNREADABLE


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


@dataclass(frozen=True, slots=True)
class Issue:
    """What one or several tools say about the same thing in the same place.

    Attributes:
        rule: the common name of the rule or vulnerability.
        findings: never empty; ordered by tool and rule.
        severity: the worst that any tool knows; ``unknown`` only where none knows.
        lookup: who gave the severity where the tools did not; empty where they did.
    """

    rule: str
    findings: tuple[Finding, ...]
    severity: Severity
    lookup: str = ""

    @property
    def place(self) -> Place:
        """Where it is: the most exact place of its findings."""
        return max((one.place for one in self.findings), key=lambda place: place.line > 0)

    @property
    def title(self) -> str:
        """One sentence, of the first tool."""
        return self.findings[0].title

    @property
    def fix(self) -> str:
        """What makes it go away; empty where no tool knows anything."""
        return next((one.fix for one in self.findings if one.fix), "")

    @property
    def names(self) -> frozenset[str]:
        """Every name by which an ignore or a VEX statement may call it."""
        names = {self.rule}
        for one in self.findings:
            names |= {one.rule, *one.aliases}
        return frozenset(names)

    @property
    def disagrees(self) -> bool:
        """Whether two tools give different known severities."""
        return len({one.severity for one in self.findings} - {Severity.UNKNOWN}) > 1
