"""A policy, and what it says of a set of scans: frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from hardening.model import Finding, Issue, NotScanned, Scan, Severity
from restoreproof.verdict import Verdict

LEAST_REASON = 10
"""Characters that a reason must have."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """One thing that is let pass until a day.

    Attributes:
        id: a rule, a vulnerability, or another name of either.
        path: where, as a pattern over the path; everywhere by default.
        subject: which package or service, as a pattern.
        reason: why it is no danger here, or cannot be mended yet.
        owner: who answers for it.
        expires: the last day on which it holds.
    """

    id: str
    reason: str
    owner: str
    expires: date
    path: str = "**"
    subject: str = "*"


@dataclass(frozen=True, slots=True)
class VexStatement:
    """What a VEX document says: that a vulnerability does not matter in a product.

    Attributes:
        names: of the vulnerability.
        packages: names of packages, with ``@version`` where it is about one; empty: everywhere.
        reason: the justification.
        source: the document.
    """

    names: frozenset[str]
    packages: frozenset[str]
    reason: str
    source: str


class Offline(StrEnum):
    """What becomes of vulnerability sources that cannot be reached."""

    BLOCK = "block"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Policy:
    """What blocks, and what is let pass.

    Attributes:
        block: severities that block. ``unknown`` blocks with the worst of them, always.
        grace: how long a vulnerability without a fix is let pass, from the day it became known.
        longest: how far ahead an ignore may expire.
        max_data_age: how old vulnerability data may be.
        offline: what becomes of sources that cannot be reached.
        ignores: in the order of the file.
        vex: statements of all documents.
        baseline: how often each identity was there when the policy was adopted.
        looked_up: severities of what no tool knows one for.
        stricter: severities that block as well where a tool of that name says them.
        source: the file that it stands in, relative to what is scanned.
    """

    block: frozenset[Severity] = frozenset({Severity.CRITICAL, Severity.HIGH})
    grace: timedelta = timedelta(0)
    longest: timedelta = timedelta(days=90)
    max_data_age: timedelta = timedelta(days=2)
    offline: Offline = Offline.BLOCK
    ignores: tuple[Ignore, ...] = ()
    vex: tuple[VexStatement, ...] = ()
    baseline: Mapping[str, int] = field(default_factory=dict)
    looked_up: Mapping[str, Severity] = field(default_factory=dict)
    stricter: Mapping[str, frozenset[Severity]] = field(default_factory=dict)
    source: str = "restoreproof.toml"


class Treatment(StrEnum):
    """What becomes of an issue."""

    BLOCKS = "blocks"
    REPORTED = "reported"
    """Below what blocks."""
    GRACE = "grace"
    """Nothing mends it yet, and it is new."""
    IGNORED = "ignored"
    ANSWERED = "answered"
    """The source itself gives a reason, beside the line."""
    NOT_AFFECTED = "not-affected"
    """A VEX document says so."""
    KNOWN = "known"
    """It was there when the policy was adopted."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of one issue, and why.

    Attributes:
        until: the last day on which that holds, where it has one.
    """

    issue: Issue
    treatment: Treatment
    reason: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was not looked at.

    Attributes:
        tool: whose business it was.
        blocks: whether nothing can be judged good for lack of it.
    """

    tool: str
    what: NotScanned
    blocks: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policy says of several scans.

    Attributes:
        scans: what was judged.
        rulings: the worst first.
        gaps: what was not looked at; those that block first.
        about_policy: findings about the policy itself; they are among the rulings too.
        reason: of the verdict, in one sentence.
        verdict: failed where something blocks; passed where everything was looked at.
    """

    scans: tuple[Scan, ...]
    rulings: tuple[Ruling, ...]
    gaps: tuple[Gap, ...]
    about_policy: tuple[Finding, ...]
    reason: str
    verdict: Verdict

    @property
    def blocking(self) -> tuple[Ruling, ...]:
        """What has to be mended."""
        return tuple(one for one in self.rulings if one.treatment is Treatment.BLOCKS)
