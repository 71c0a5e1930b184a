"""What a scan by rules of our own has seen so far."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from hardening.model import Finding, NotScanned, Scan
from hardening.rules.catalogue import RULES
from hardening.rules.rule import TOOL, Found
from restoreproof.errors import RestoreproofError
from restoreproof.version import version


@dataclass(slots=True)
class Sheet:
    """What a scan has seen so far."""

    scanned: list[str] = field(default_factory=list)
    not_scanned: list[NotScanned] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def found(self, path: str, found: Iterable[Found]) -> None:
        """Take in what checks saw in one file."""
        self.findings += [one.finding(RULES[one.rule], path) for one in found]

    def missed(self, name: str, error: RestoreproofError) -> None:
        """Take in that something could not be judged."""
        self.not_scanned.append(NotScanned(name, error.message, error.hint))

    def scan(self) -> Scan:
        """The whole; findings in the order of their places."""
        order = sorted(self.findings, key=lambda one: (one.place, one.rule, one.evidence))
        return Scan(
            tool=TOOL,
            version=version(),
            scanned=tuple(self.scanned),
            not_scanned=tuple(self.not_scanned),
            findings=tuple(order),
            seconds=time.monotonic() - self.started,
            facts={"rules": str(len(RULES))},
        )
