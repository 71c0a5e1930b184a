"""Bringing findings together: what several tools say of one thing is one issue. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from hardening.model import Finding, Issue, Severity
from hardening.services.rule_map import GROUPS, group_of


def issues_of(findings: Iterable[Finding], looked_up: Mapping[str, Severity]) -> tuple[Issue, ...]:
    """The findings, brought together; in the order of their first finding.

    Args:
        findings: of all scans.
        looked_up: severities that the policy gives to what no tool knows one for.
    """
    buckets: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    leaders = _Leaders()
    ordered = list(dict.fromkeys(findings))
    for found in ordered:
        if _is_vulnerability(found):
            leaders.join(found)
    for found in ordered:
        buckets[_key(found, leaders)].append(found)
    return tuple(_issue(key, bucket, looked_up) for key, bucket in buckets.items())


class _Leaders:
    """Names of one vulnerability, in one package, as one set: its least name leads."""

    def __init__(self) -> None:
        self._parent: dict[tuple[str, str], tuple[str, str]] = {}

    def join(self, found: Finding) -> None:
        package = found.place.subject
        first, *others = ((package, name) for name in sorted({found.rule, *found.aliases}))
        for other in others:
            one, two = sorted((self._find(first), self._find(other)))
            self._parent[two] = one

    def of(self, found: Finding) -> str:
        return self._find((found.place.subject, found.rule))[1]

    def _find(self, name: tuple[str, str]) -> tuple[str, str]:
        while (parent := self._parent.get(name, name)) != name:
            name = parent
        return name


def _is_vulnerability(found: Finding) -> bool:
    return "@" in found.place.subject


def _key(found: Finding, leaders: _Leaders) -> tuple[str, ...]:
    if _is_vulnerability(found):
        return ("vulnerability", leaders.of(found), found.place.subject)
    name = group_of(found.tool, found.rule)
    if not name:
        return ("single", found.tool, found.rule, *_where(found), found.evidence)
    path, line, subject = _where(found)
    match GROUPS[name].per:
        case "file":
            return ("group", name, path)
        case "line":
            return ("group", name, path, line)
        case "service":
            return ("group", name, path, subject)
        case "service-line":
            return ("group", name, path, line, subject)


def _where(found: Finding) -> tuple[str, str, str]:
    return (found.place.path, str(found.place.line), found.place.subject)


def _issue(key: tuple[str, ...], bucket: list[Finding], looked_up: Mapping[str, Severity]) -> Issue:
    findings = tuple(sorted(bucket, key=lambda one: (one.tool, one.rule, one.place)))
    rule = key[1] if key[0] != "single" else key[2]
    known = [one.severity for one in findings if one.severity is not Severity.UNKNOWN]
    if known:
        return Issue(rule, findings, max(known, key=lambda level: level.rank))
    issue = Issue(rule, findings, Severity.UNKNOWN)
    given = [looked_up[name] for name in sorted(issue.names) if name in looked_up]
    if given:
        return Issue(rule, findings, max(given, key=lambda level: level.rank), "the policy")
    return issue
