"""Alerts in a Valkey stream that a dashboard or a worker reads.

Each alert is one entry of the stream, all values text::

    format        "1"
    set, store    names; store is empty where the whole set is meant
    rung          exists, fresh, size, integrity, restore, content or assertions;
                  message for what is told outside of the ladder
    verdict       failed or inconclusive; passed for a recovery
    recovered     "1" for a recovery, else "0"
    reason, hint  one sentence each
    first_failed  RFC 3339, UTC: the run in which the incident began
    last_good     RFC 3339, UTC: the last run in which this rung passed; empty when none is known
    occurrences   number of runs that met the incident
    host          the machine that judged
    at            RFC 3339, UTC: the run that this is told in

A message may arrive twice (a lost answer is tried again): ``set, store, rung, verdict, at`` is its
identity. The stream is cut to about ``max_entries``.

Each run also writes the hash ``STREAM:status:SET/STORE`` with ``format, verdict, at, last_good,
host``: a dashboard that sees ``at`` grow old knows that the runs have stopped.

The least rights that do, for the default stream (``+select`` too for a database other than 0)::

    ACL SETUSER alerts on >PASSWORD ~restoreproof:alerts* resetchannels -@all +xadd +hset +ping
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, Field, PositiveInt

from restoreproof.alerts.model import Alert, Heartbeat
from restoreproof.clock import rfc3339
from restoreproof.valkey_client import ValkeyAccess, connected

if TYPE_CHECKING:
    from restoreproof.alerts.channel import Channel

FORMAT = "1"


class ValkeySettings(ValkeyAccess):
    """``[alert.NAME]`` with ``kind = "valkey"``."""

    stream: Annotated[str, Field(min_length=1)] = "restoreproof:alerts"
    """The key of the stream."""
    max_entries: PositiveInt = 10_000
    """About so many entries are kept."""
    heartbeat: bool = True
    """Whether every run writes the status hash."""


class ValkeyChannel:
    """Appends alerts to a stream. Connects for each message: they are rare, servers restart."""

    kind: ClassVar[str] = "valkey"

    def __init__(self, name: str, settings: ValkeySettings) -> None:
        self._settings = settings
        self._what = f'the alert channel "{name}"'

    @classmethod
    def settings(cls) -> type[BaseModel]:
        return ValkeySettings

    @classmethod
    def from_settings(cls, name: str, settings: BaseModel, base: Path) -> Channel:  # noqa: ARG003  paths are absolute
        assert isinstance(settings, ValkeySettings)
        return cls(name, settings)

    def send(self, alert: Alert) -> None:
        with connected(self._settings, self._what) as client:
            client.xadd(
                self._settings.stream,
                {
                    "format": FORMAT,
                    "set": alert.set,
                    "store": alert.store,
                    "rung": alert.rung,
                    "verdict": alert.verdict.value,
                    "recovered": str(int(alert.recovered)),
                    "reason": alert.reason,
                    "hint": alert.hint,
                    "first_failed": rfc3339(alert.first_failed),
                    "last_good": rfc3339(alert.last_good) if alert.last_good else "",
                    "occurrences": str(alert.occurrences),
                    "host": alert.host,
                    "at": rfc3339(alert.at),
                },
                maxlen=self._settings.max_entries,
                approximate=True,
            )

    def beat(self, heartbeat: Heartbeat) -> None:
        if not self._settings.heartbeat:
            return
        key = f"{self._settings.stream}:status:{heartbeat.set}/{heartbeat.store}"
        with connected(self._settings, self._what) as client:
            client.hset(
                key,
                mapping={
                    "format": FORMAT,
                    "verdict": heartbeat.verdict.value,
                    "at": rfc3339(heartbeat.at),
                    "last_good": rfc3339(heartbeat.last_good) if heartbeat.last_good else "",
                    "host": heartbeat.host,
                },
            )

    def probe(self) -> str:
        with connected(self._settings, self._what) as client:
            # checks permission, room and writability, and writes nothing: there is no such stream
            client.xadd(f"{self._settings.stream}:probe", {"probe": "1"}, nomkstream=True)
        return f"the stream {self._settings.stream} can be written"
