"""What a rule means, offline: by any name that a tool or a catalogue has for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hardening.rules.catalogue import RULES
from hardening.rules.rule import TOOL
from hardening.scanners.severities import TABLES
from hardening.services.rule_map import GROUPS
from restoreproof.errors import UsageError
from restoreproof.kinds import did_you_mean


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a rule here.

    Attributes:
        rule: the common name.
        title: what it says, in one sentence.
        names: tool and its name of the rule.
        also: names in other catalogues.
        why: what an attacker or an accident makes of it; empty where only its tools say that.
        fix: what to do instead; empty where only its tools say that.
        references: where to read more.
    """

    rule: str
    title: str
    names: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    why: str = ""
    fix: str = ""
    references: tuple[str, ...] = ()


def explain(rule: str) -> Explanation:
    """What that rule means.

    Raises:
        UsageError: nothing is known of it here.
    """
    known = {name: one for one in _all() for name in _names(one)}
    found = {name.casefold(): one for name, one in known.items()}.get(rule.casefold())
    if found is None:
        tools = ", ".join(sorted(TABLES))
        raise UsageError(
            f'nothing is known here of a rule "{rule}"',
            hint=did_you_mean(rule, known)
            or f"a finding names where to read about it, see --json; its tools are {tools}",
        )
    return found


def _names(one: Explanation) -> Iterator[str]:
    yield one.rule
    yield from (name.partition(" ")[2] for name in one.names)
    yield from one.also


def _all() -> Iterator[Explanation]:
    for rule in RULES.values():
        yield Explanation(
            rule=rule.id,
            title=rule.title,
            names=(f"{TOOL} {rule.id}",),
            why=rule.why,
            fix=rule.fix,
            references=rule.references,
        )
    for name, group in GROUPS.items():  # after ours: it says what ours says, and who else
        ours = next((RULES[rule] for tool, rule in group.rules if tool == TOOL), None)
        about = tuple(found for tool, rule in group.rules if (found := _about(tool, rule)))
        yield Explanation(
            rule=name,
            title=group.title,
            names=tuple(f"{tool} {rule}" for tool, rule in group.rules),
            also=group.also,
            why=ours.why if ours else "",
            fix=ours.fix if ours else "",
            references=(*(ours.references if ours else ()), *about),
        )
    for name, (title, fix) in ABOUT_POLICY.items():
        yield Explanation(name, title, names=(f"policy {name}",), fix=fix)


ABOUT_POLICY = {
    "ignore-expired": (
        "An ignore in the policy is past its day; what it let pass blocks again.",
        "mend what it was about, or look at it anew and give it another day",
    ),
    "ignore-too-long": (
        "An ignore expires later than longest_ignore allows; it does not hold.",
        "give it a day that is nearer",
    ),
    "ignore-unused": (
        "An ignore matches nothing, and everything was looked at.",
        "take it out: it would let something else pass one day",
    ),
    "vex-unused": (
        "A VEX statement matches nothing, and everything was looked at.",
        "take it out, or mend its package URL",
    ),
}
"""Rules about the policy itself: what they say, and what to do."""


def _about(tool: str, rule: str) -> str:
    if tool == "trivy":
        return f"https://avd.aquasec.com/misconfig/{rule.lower()}"
    if tool == "hadolint":
        return f"https://github.com/hadolint/hadolint/wiki/{rule}"
    return f"https://docs.zizmor.sh/audits/#{rule}" if tool == "zizmor" else ""
