"""What is remembered between runs, and the judgement what is to be told now. No I/O.

An *incident* opens when a rung does not pass and closes when its recovery has been told. Within an
incident each verdict is told at once the first time, and again only as a reminder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from restoreproof.alerts.model import Alert, Finding, Heartbeat, Subject
from restoreproof.clock import from_rfc3339, rfc3339
from restoreproof.verdict import Verdict, worst

FORMAT = 1
"""Version of the layout that :func:`to_json` writes; the state file keeps it."""

_WHOLE_STORE = ""
"""In the place of a rung: every rung that was judged passed."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that does not pass, or does again and nobody could be told yet.

    Attributes:
        verdict: of the last run that did not pass.
        reason: of that run.
        hint: of that run.
        first_failed: the run in which it began.
        occurrences: number of runs that met it.
        told: when each verdict last reached somebody.
        passed_again: the run in which it passed again; None while it does not.
    """

    verdict: Verdict
    reason: str
    hint: str
    first_failed: datetime
    occurrences: int = 1
    told: Mapping[Verdict, datetime] = field(default_factory=dict)
    passed_again: datetime | None = None

    def is_due(self, now: datetime, remind_after: timedelta, *, met: bool) -> bool:
        """Whether somebody is to be told now.

        ``met``: this run met it; a reminder is sent only then. A clock that was set back counts as
        due, since the wait would otherwise have no end.
        """
        if self.passed_again:
            return True
        last = self.told.get(self.verdict)
        if last is None:
            return True
        return met and not last <= now < last + remind_after


@dataclass(frozen=True, slots=True)
class Memory:
    """Open incidents, and when each rung (and each whole store) last passed."""

    incidents: Mapping[Subject, Incident] = field(default_factory=dict)
    last_good: Mapping[Subject, datetime] = field(default_factory=dict)


def observe(memory: Memory, findings: Iterable[Finding], now: datetime) -> Memory:
    """The memory after a run. Subjects that the run did not judge stay as they are."""
    incidents = dict(memory.incidents)
    good = dict(memory.last_good)
    by_subject = _worst_of_each(findings)
    for subject, finding in by_subject.items():
        known = incidents.get(subject)
        if finding.verdict is Verdict.PASSED:
            good[subject] = now
            if known and not known.passed_again:
                incidents[subject] = replace(known, passed_again=now)
        elif known:
            incidents[subject] = replace(
                known,
                verdict=finding.verdict,
                reason=finding.reason,
                hint=finding.hint,
                occurrences=known.occurrences + 1,
                passed_again=None,
            )
        else:
            incidents[subject] = Incident(finding.verdict, finding.reason, finding.hint, now)
    seen = Memory(incidents, good)
    for name, verdict in _stores(by_subject.values()).items():
        if worst((verdict, *_open(seen, name))) is Verdict.PASSED:
            good[Subject(*name, _WHOLE_STORE)] = now
    return seen


def alerts_due(
    memory: Memory,
    met: frozenset[Subject],
    now: datetime,
    *,
    remind_after: timedelta,
    host: str,
) -> tuple[Alert, ...]:
    """What is to be told now: new failures, changed verdicts, reminders, recoveries, leftovers.

    Leftovers are messages of earlier runs that reached nobody.
    """
    return tuple(
        _alert(subject, incident, memory.last_good.get(subject), now, host)
        for subject, incident in memory.incidents.items()
        if incident.is_due(now, remind_after, met=subject in met)
    )


def heartbeats(
    memory: Memory, findings: Iterable[Finding], now: datetime, host: str
) -> tuple[Heartbeat, ...]:
    """One for each store that this run judged.

    A rung that the run did not climb to, and that did not pass when last judged, counts: a shallow
    look says nothing against it.
    """
    return tuple(
        Heartbeat(
            *name,
            worst((verdict, *_open(memory, name))),
            now,
            memory.last_good.get(Subject(*name, _WHOLE_STORE)),
            host,
        )
        for name, verdict in _stores(findings).items()
    )


def told(memory: Memory, alerts: Iterable[Alert]) -> Memory:
    """The memory after those alerts reached somebody: recoveries close their incident."""
    incidents = dict(memory.incidents)
    for alert in alerts:
        known = incidents.get(alert.subject)
        if known is None:
            continue
        if not alert.recovered:
            incidents[alert.subject] = replace(known, told={**known.told, alert.verdict: alert.at})
        elif known.passed_again:
            del incidents[alert.subject]
    return replace(memory, incidents=incidents)


def to_json(memory: Memory) -> dict[str, object]:
    """The memory as plain data for the state file."""
    return {
        "incidents": [
            {
                **subject._asdict(),
                "verdict": incident.verdict.value,
                "reason": incident.reason,
                "hint": incident.hint,
                "first_failed": rfc3339(incident.first_failed),
                "occurrences": incident.occurrences,
                "told": {verdict.value: rfc3339(at) for verdict, at in incident.told.items()},
                "passed_again": incident.passed_again and rfc3339(incident.passed_again),
            }
            for subject, incident in memory.incidents.items()
        ],
        "last_good": [
            {**subject._asdict(), "at": rfc3339(at)} for subject, at in memory.last_good.items()
        ],
    }


def from_json(data: Mapping[str, object]) -> Memory:
    """Read what :func:`to_json` wrote; no data is an empty memory.

    Raises:
        ValueError: for anything else.
    """
    if not data:
        return Memory()
    try:
        return Memory(
            {_subject(entry): _incident(entry) for entry in _entries(data["incidents"])},
            {_subject(entry): _moment(entry["at"]) for entry in _entries(data["last_good"])},
        )
    except (KeyError, TypeError) as error:
        raise ValueError("the memory of alerts is damaged") from error


def _worst_of_each(findings: Iterable[Finding]) -> dict[Subject, Finding]:
    found: dict[Subject, Finding] = {}
    for finding in findings:
        other = found.get(finding.subject)
        if other is None or worst((other.verdict, finding.verdict)) is not other.verdict:
            found[finding.subject] = finding
    return found


def _stores(findings: Iterable[Finding]) -> dict[tuple[str, str], Verdict]:
    verdicts: dict[tuple[str, str], list[Verdict]] = {}
    for finding in findings:
        verdicts.setdefault((finding.set, finding.store), []).append(finding.verdict)
    return {name: worst(each) for name, each in verdicts.items()}


def _open(memory: Memory, name: tuple[str, str]) -> Iterator[Verdict]:
    """The verdicts of a store's incidents that go on."""
    for subject, incident in memory.incidents.items():
        if (subject.set, subject.store) == name and incident.passed_again is None:
            yield incident.verdict


def _alert(
    subject: Subject, incident: Incident, last_good: datetime | None, now: datetime, host: str
) -> Alert:
    recovered = incident.passed_again is not None
    runs = "1 run" if incident.occurrences == 1 else f"{incident.occurrences} runs"
    return Alert(
        *subject,
        verdict=Verdict.PASSED if recovered else incident.verdict,
        reason=f"{subject.rung} passes again after {runs} that did not: {incident.reason}"
        if recovered
        else incident.reason,
        hint="" if recovered else incident.hint,
        first_failed=incident.first_failed,
        last_good=last_good,
        occurrences=incident.occurrences,
        host=host,
        at=now,
        recovered=recovered,
    )


def _entries(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise TypeError("not a list of objects")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _moment(value: object) -> datetime:
    return from_rfc3339(_text(value))


def _subject(entry: Mapping[str, object]) -> Subject:
    return Subject(_text(entry["set"]), _text(entry["store"]), _text(entry["rung"]))


def _incident(entry: Mapping[str, object]) -> Incident:
    occurrences, past = entry["occurrences"], entry["told"]
    if not isinstance(occurrences, int) or not isinstance(past, Mapping):
        raise TypeError("not an incident")
    again = entry["passed_again"]
    return Incident(
        verdict=Verdict(_text(entry["verdict"])),
        reason=_text(entry["reason"]),
        hint=_text(entry["hint"]),
        first_failed=_moment(entry["first_failed"]),
        occurrences=occurrences,
        told={Verdict(_text(verdict)): _moment(at) for verdict, at in past.items()},
        passed_again=None if again is None else _moment(again),
    )
