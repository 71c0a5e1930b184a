"""Tells the channels of a set what a run found, once, and never lets a channel hide the verdict."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from restoreproof.alerts import memory as judging
from restoreproof.alerts.channel import Channel
from restoreproof.alerts.memory import Memory
from restoreproof.alerts.model import Alert, Delivery, Finding, Heartbeat
from restoreproof.alerts.retrying import Retrying
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.errors import RestoreproofError
from restoreproof.events import Listener, Warned, silent
from restoreproof.state import StateFile
from restoreproof.verdict import Verdict

REMIND_AFTER = timedelta(hours=24)


class Route(StrEnum):
    """Which of several channels are told. An alert is delivered when at least one took it."""

    ALL = "all"
    """Every channel is told."""
    FALLBACK = "fallback"
    """The first one; the next only where those before it did not take the message."""


class Dispatcher:
    """Judges what is to be told, tells it, and remembers what arrived.

    * A failure is told at once, and again as a reminder only after ``remind_after``.
    * A verdict that changed within the incident (inconclusive, then failed) is told at once.
    * A recovery is told once; it also tells of a failure that never reached anybody.
    * What reached nobody is told in the next run.
    * A channel that failed is left alone for the rest of the run, so that the time a run spends on
      alerting is bounded by the number of channels, not of alerts.
    * A state file that cannot be read or written costs de-duplication, never an alert.

    Args:
        channels: by configured name, in the order in which they are told.
        state: the file where incidents are remembered between runs.
        route: whether all are told or the first that works.
        remind_after: time between two tellings of the same verdict on the same rung.
        clock: wall time.
        host: the machine that judges.
        emit: told about every channel and state file that failed.
        attempts: how often one channel is tried for one message.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        state: Path,
        *,
        route: Route = Route.ALL,
        remind_after: timedelta = REMIND_AFTER,
        clock: Clock = SYSTEM_CLOCK,
        host: str = "",
        emit: Listener = silent,
        attempts: int = 3,
    ) -> None:
        self._channels = {
            name: Retrying(channel, attempts=attempts) for name, channel in channels.items()
        }
        self._state = StateFile(state, format=judging.FORMAT, emit=emit)
        self._route = route
        self._remind_after = remind_after
        self._clock = clock
        self._host = host or socket.gethostname()
        self._emit = emit
        self._last_known = Memory()

    def report(self, findings: Iterable[Finding]) -> tuple[Delivery, ...]:
        """Tell what is to be told after a run.

        Args:
            findings: of every rung that the run judged, passes included.

        Returns:
            every attempt, failed ones included, heartbeats too. Never raises for a channel.
        """
        findings = tuple(findings)
        now = self._clock.now()
        memory = self._remember(lambda known: judging.observe(known, findings, now))
        met = frozenset(
            finding.subject for finding in findings if finding.verdict is not Verdict.PASSED
        )
        alerts = judging.alerts_due(
            memory, met, now, remind_after=self._remind_after, host=self._host
        )
        down: set[str] = set()
        deliveries = [
            delivery for alert in alerts for delivery in self._deliver(alert, self._route, down)
        ]
        arrived = [d.message for d in deliveries if d.ok and isinstance(d.message, Alert)]
        if arrived:
            self._remember(lambda known: judging.told(known, arrived))
        for heartbeat in judging.heartbeats(memory, findings, now, self._host):
            deliveries += self._deliver(heartbeat, Route.ALL, down)
        return tuple(deliveries)

    def announce(self, finding: Finding) -> tuple[Delivery, ...]:
        """Tell one thing at once, whatever was told before; nothing of it is remembered.

        Returns:
            every attempt, failed ones included. Never raises for a channel.
        """
        now = self._clock.now()
        alert = Alert(
            *finding.subject,
            verdict=finding.verdict,
            reason=finding.reason,
            hint=finding.hint,
            first_failed=now,
            last_good=None,
            occurrences=1,
            host=self._host,
            at=now,
        )
        return tuple(self._deliver(alert, self._route, set()))

    def _deliver(self, message: Alert | Heartbeat, route: Route, down: set[str]) -> list[Delivery]:
        deliveries = []
        for name, channel in self._channels.items():
            delivery = (
                Delivery(name, message, "not tried: it failed before in this run")
                if name in down
                else _attempt(name, channel, message)
            )
            deliveries.append(delivery)
            if delivery.ok and route is Route.FALLBACK:
                break
            if not delivery.ok and name not in down:
                down.add(name)
                self._emit(
                    Warned(f'the alert channel "{name}" failed: {delivery.error}', delivery.hint)
                )
        return deliveries

    def _remember(self, change: Callable[[Memory], Memory]) -> Memory:
        """Apply a change to the remembered state; to what this object knows where that fails."""
        try:
            with self._state.update() as data:
                memory = change(self._read(data))
                data.clear()
                data.update(judging.to_json(memory))
        except (RestoreproofError, OSError) as error:
            # a verdict is at stake: it is told without memory rather than not at all
            self._emit(
                Warned(
                    f"alerts cannot be remembered: {error}",
                    hint="until the state file can be written, every run alerts anew",
                )
            )
            memory = change(self._last_known)
        self._last_known = memory
        return memory

    def _read(self, data: Mapping[str, object]) -> Memory:
        try:
            return judging.from_json(data)
        except ValueError as error:
            self._emit(Warned(f"{error}: it is begun anew", hint="known failures are told again"))
            return self._last_known


def _attempt(name: str, channel: Retrying, message: Alert | Heartbeat) -> Delivery:
    try:
        if isinstance(message, Alert):
            channel.send(message)
        else:
            channel.beat(message)
    except RestoreproofError as error:
        return Delivery(name, message, error.message, error.hint)
    except Exception as error:  # noqa: BLE001  a defect of one channel must not hide the verdict
        # only the type: the text of a foreign error may hold the address, and with it a secret
        return Delivery(name, message, f"it broke with {type(error).__name__}")
    return Delivery(name, message)
