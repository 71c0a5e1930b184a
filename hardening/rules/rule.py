"""What a rule is, and what a check reports."""

from __future__ import annotations

from dataclasses import dataclass

from hardening.model import Finding, Place, Severity

TOOL = "restoreproof"
"""The name under which rules of our own report."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: ``RP-D001``: Dockerfile; ``X`` build context, ``C`` Compose, ``L`` live container,
            ``I`` built image.
        title: what is wrong when it reports, in one line.
        why: what an attacker or an accident makes of it.
        fix: what to write instead.
        references: addresses, and sections of benchmarks.
        severity: what a finding counts as.
    """

    id: str
    title: str
    why: str
    fix: str
    references: tuple[str, ...]
    severity: Severity


@dataclass(frozen=True, slots=True)
class Found:
    """What a check saw.

    Attributes:
        rule: id of the rule.
        evidence: what stays the same when lines move; never a secret.
        line: from 1; 0 where a line means nothing.
        subject: the stage, service or file within.
        detail: what in particular, in a few words; empty where the rule's title says it all.
        path: of the file that ``line`` counts in, where it is not the one that is judged.
    """

    rule: str
    evidence: str
    line: int = 0
    subject: str = ""
    detail: str = ""
    path: str = ""

    def finding(self, rule: Rule, path: str) -> Finding:
        """As the report wants it."""
        return Finding(
            tool=TOOL,
            rule=rule.id,
            title=f"{rule.title}: {self.detail}" if self.detail else rule.title,
            severity=rule.severity,
            place=Place(self.path or path, self.line, self.subject),
            said=rule.severity.value,
            evidence=self.evidence,
            fix=rule.fix,
            help=next((ref for ref in rule.references if ref.startswith("https://")), ""),
        )
