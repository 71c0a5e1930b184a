"""A channel that tries again, within a bound."""

from __future__ import annotations

import logging
from collections.abc import Callable

import stamina

from restoreproof.alerts.channel import Channel
from restoreproof.alerts.model import Alert, Heartbeat
from restoreproof.errors import Unreachable

# A library never prints: without any handler Python would write stamina's notes to stderr.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class Retrying:
    """Wraps a channel: what it could not deliver is tried again with growing pauses.

    Args:
        channel: the real one.
        attempts: how often at most.
        seconds: no attempt begins later than this after the first one.
    """

    def __init__(self, channel: Channel, *, attempts: int = 3, seconds: float = 20.0) -> None:
        self._channel = channel
        self._attempts = attempts
        self._seconds = seconds

    def send(self, alert: Alert) -> None:
        """As :meth:`Channel.send`."""
        self._try(lambda: self._channel.send(alert))

    def beat(self, heartbeat: Heartbeat) -> None:
        """As :meth:`Channel.beat`."""
        self._try(lambda: self._channel.beat(heartbeat))

    def _try(self, action: Callable[[], None]) -> None:
        for attempt in stamina.retry_context(
            on=Unreachable,
            attempts=self._attempts,
            timeout=self._seconds,
            wait_initial=0.2,
            wait_max=5.0,
        ):
            with attempt:
                action()
