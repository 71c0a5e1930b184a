"""The vocabulary of alerting: what was found, what is told, and whether it arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from restoreproof.verdict import Verdict


class Subject(NamedTuple):
    """What an incident is about; ``store`` is empty where a whole set is meant."""

    set: str
    store: str
    rung: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rung said about one store in this run. Passes are findings too.

    Attributes:
        set: name of the backup set.
        store: name of the store, or empty where the whole set is meant.
        rung: of the verification ladder, such as ``integrity``.
        verdict: the judgement.
        reason: one sentence without secrets: what was seen.
        hint: what to do next; empty when passed.
    """

    set: str
    store: str
    rung: str
    verdict: Verdict
    reason: str
    hint: str = ""

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.set, self.store, self.rung)


@dataclass(frozen=True, slots=True)
class Alert:
    """One message: a failure, a reminder of one, or its recovery. Never holds a secret.

    Attributes:
        set: name of the backup set.
        store: name of the store, or empty where the whole set is meant.
        rung: of the verification ladder.
        verdict: ``failed`` or ``inconclusive``; ``passed`` for a recovery.
        reason: one sentence: what was seen.
        hint: what to do next.
        first_failed: the run in which this incident began.
        last_good: the last run in which this rung passed; None when none is known.
        occurrences: number of runs that met the incident.
        host: the machine that judged.
        at: the run that this is told in.
        recovered: the rung passes again; told once.
    """

    set: str
    store: str
    rung: str
    verdict: Verdict
    reason: str
    hint: str
    first_failed: datetime
    last_good: datetime | None
    occurrences: int
    host: str
    at: datetime
    recovered: bool = False

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.set, self.store, self.rung)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A run took place: what a dashboard needs to see that the runs have stopped.

    Attributes:
        set: name of the backup set.
        store: name of the store.
        verdict: the worst of this run.
        at: the run.
        last_good: the last run in which every rung that was judged passed; None when none is known.
        host: the machine that judged.
    """

    set: str
    store: str
    verdict: Verdict
    at: datetime
    last_good: datetime | None
    host: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to hand a message to a channel.

    Attributes:
        channel: its configured name.
        message: what was to be told.
        error: empty when it arrived, else one sentence without secrets.
        hint: what to do about the error.
    """

    channel: str
    message: Alert | Heartbeat
    error: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether the channel took it."""
        return not self.error
