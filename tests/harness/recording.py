"""A channel that records, and fails on demand: for judging what the dispatcher tells when."""

from __future__ import annotations

from typing import ClassVar

from restoreproof.alerts.model import Alert, Heartbeat
from restoreproof.errors import Unreachable


class RecordingChannel:
    kind: ClassVar[str] = "recording"

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.heartbeats: list[Heartbeat] = []
        self.calls = 0
        self.failure: Exception | None = None

    def send(self, alert: Alert) -> None:
        self._fail()
        self.alerts.append(alert)

    def beat(self, heartbeat: Heartbeat) -> None:
        self._fail()
        self.heartbeats.append(heartbeat)

    def probe(self) -> str:
        return "records"

    def down(self) -> None:
        self.failure = Unreachable("nobody there", hint="call somebody")

    def up(self) -> None:
        self.failure = None

    def _fail(self) -> None:
        self.calls += 1
        if self.failure:
            raise self.failure
