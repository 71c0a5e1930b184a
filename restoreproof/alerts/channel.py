"""The interface of an alert channel plugin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from restoreproof.alerts.model import Alert, Heartbeat

if TYPE_CHECKING:
    from pydantic import BaseModel


class Channel(Protocol):
    """Takes messages to people or machines.

    Every call ends within a bounded time, whatever the other side does, and no error, log record
    or repr of a channel shows its address where that holds a secret.
    """

    kind: ClassVar[str]

    def send(self, alert: Alert) -> None:
        """Deliver one alert. Returns only when the other side has taken it; may deliver twice.

        Raises:
            Unreachable: it was not taken.
            ConfigError: the address cannot be understood, or a secret cannot be resolved.
        """
        ...

    def beat(self, heartbeat: Heartbeat) -> None:
        """Record that a run took place; does nothing in a channel that people read.

        Raises:
            Unreachable: it was not recorded.
        """
        ...

    def probe(self) -> str:
        """Check what can be checked without telling anybody; one phrase about what was found.

        Raises:
            Unreachable: the other side is away or refuses us.
            ConfigError: the address cannot be understood, or a secret cannot be resolved.
        """
        ...


class ChannelPlugin(Channel, Protocol):
    """What the kinds table points at."""

    @classmethod
    def settings(cls) -> type[BaseModel]:
        """The model of ``[alert.NAME]``, without ``kind``."""
        ...

    @classmethod
    def from_settings(cls, name: str, settings: BaseModel, base: Path) -> Channel:
        """A channel with those settings; relative paths are meant from ``base``."""
        ...
