"""Alerts by mail, chat or pager: whatever the library apprise has a URL for.

The URL nearly always holds a secret, so it is a reference: ``url = { env = "PAGER_URL" }``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import apprise
from apprise import NotifyFormat, NotifyType
from pydantic import BaseModel

from restoreproof.alerts import text
from restoreproof.alerts.model import Alert, Heartbeat
from restoreproof.config.model import Settings
from restoreproof.errors import ConfigError, Unreachable
from restoreproof.secrets import SecretRef
from restoreproof.verdict import Verdict

if TYPE_CHECKING:
    from restoreproof.alerts.channel import Channel

_TALKATIVE = ("apprise", "urllib3", "urllib3.connectionpool", "urllib3.util.retry", "requests")
"""Loggers that write whole URLs; those of chat services are the secret."""

_TYPES = {
    Verdict.PASSED: NotifyType.SUCCESS,
    Verdict.FAILED: NotifyType.FAILURE,
    Verdict.INCONCLUSIVE: NotifyType.WARNING,
}


class AppriseSettings(Settings):
    """``[alert.NAME]`` with ``kind = "apprise"``."""

    url: SecretRef
    """An apprise URL, such as ``mailtos://…`` or ``slack://…``."""


class AppriseChannel:
    """One apprise URL. Its waits are bounded by the URL's own ``cto`` and ``rto`` (seconds)."""

    kind: ClassVar[str] = "apprise"

    def __init__(self, name: str, settings: AppriseSettings) -> None:
        self._settings = settings
        self._what = f'the alert channel "{name}"'

    @classmethod
    def settings(cls) -> type[BaseModel]:
        return AppriseSettings

    @classmethod
    def from_settings(cls, name: str, settings: BaseModel, base: Path) -> Channel:  # noqa: ARG003  no paths
        assert isinstance(settings, AppriseSettings)
        return cls(name, settings)

    def send(self, alert: Alert) -> None:
        with _silenced():
            taken = self._service().notify(
                title=text.title(alert),
                body=text.body(alert),
                notify_type=_TYPES[alert.verdict],
                body_format=NotifyFormat.TEXT,
            )
        if not taken:
            # apprise says why only in log lines that repeat the address
            raise Unreachable(
                f"{self._what} did not take the message",
                hint="check its URL, and that this machine can reach the service",
            )

    def beat(self, heartbeat: Heartbeat) -> None:
        """Nothing: people want to hear of failures."""

    def probe(self) -> str:
        with _silenced():
            service = next(iter(self._service()))
        return (
            f"the URL is understood ({service.service_name}); whether it arrives, only mail tells"
        )

    def _service(self) -> apprise.Apprise:
        service = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))
        if not service.add(self._settings.url.resolve().reveal()):
            raise ConfigError(
                f"the URL of {self._what} cannot be understood",
                hint="the documentation of apprise lists the form for each service",
            )
        return service


@contextmanager
def _silenced() -> Iterator[None]:
    """Nothing of what those libraries log meanwhile reaches any handler."""

    def drop(_record: logging.LogRecord) -> bool:
        return False

    with ExitStack() as stack:
        for name in _TALKATIVE:
            logger = logging.getLogger(name)
            logger.addFilter(drop)
            stack.callback(logger.removeFilter, drop)
        yield
