"""For every kind of alert channel, a real other side: what the contract suite runs against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from restoreproof.alerts.channel import Channel
from restoreproof.alerts.kinds import CHANNELS
from restoreproof.alerts.model import Alert
from restoreproof.verdict import Verdict
from tests.harness.receivers import http_receiver, mute_server
from tests.harness.valkey import ValkeyServer, free_port

SECRET = "planted-s3cret-Kx9"

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Rig:
    """Three channels of one kind, each with :data:`SECRET` in its address or as its password."""

    working: Channel
    nobody_there: Channel
    mute: Channel
    received: Callable[[], list[str]]
    """The texts of everything that arrived through ``working``."""


def channel(kind: str, **settings: object) -> Channel:
    """A channel as the configuration would make it."""
    plugin = CHANNELS.load(kind)
    model = plugin.settings().model_validate(settings)
    return plugin.from_settings("test", model, Path())


def an_alert(**changes: object) -> Alert:
    given: dict[str, object] = {
        "set": "nightly",
        "store": "orders",
        "rung": "integrity",
        "verdict": Verdict.FAILED,
        "reason": "orders/database.dump.zst is not what the manifest says",
        "hint": "restore from the copy offsite",
        "first_failed": NOON - timedelta(days=1),
        "last_good": NOON - timedelta(days=2),
        "occurrences": 2,
        "host": "db1.example",
        "at": NOON,
        **changes,
    }
    return Alert(**given)  # type: ignore[arg-type]  # the dataclass names them


@contextmanager
def _apprise(environment: pytest.MonkeyPatch, _server: ValkeyServer) -> Iterator[Rig]:
    with http_receiver() as receiver, mute_server() as mute:
        for name, port in (("LIVE", receiver.port), ("DEAD", free_port()), ("MUTE", mute)):
            url = f"json://alerts:{SECRET}@127.0.0.1:{port}/{SECRET}?cto=1&rto=1"
            environment.setenv(f"APPRISE_{name}", url)
        yield Rig(
            working=channel("apprise", url={"env": "APPRISE_LIVE"}),
            nobody_there=channel("apprise", url={"env": "APPRISE_DEAD"}),
            mute=channel("apprise", url={"env": "APPRISE_MUTE"}),
            received=lambda: [
                f"{document['title']}\n{document['message']}" for document in receiver.documents
            ],
        )


@contextmanager
def _valkey(environment: pytest.MonkeyPatch, server: ValkeyServer) -> Iterator[Rig]:
    environment.setenv("VALKEY_PASSWORD", SECRET)
    with server.client() as client, mute_server() as mute:
        # the least rights, as documented
        client.acl_setuser(
            "alerts",
            enabled=True,
            passwords=[f"+{SECRET}"],
            keys=["restoreproof:alerts*"],
            categories=["-@all"],
            commands=["+xadd", "+hset", "+ping"],
        )

        def to(port: int) -> Channel:
            return channel(
                "valkey",
                url=f"valkey://127.0.0.1:{port}",
                username="alerts",
                password={"env": "VALKEY_PASSWORD"},
                timeout="0.5s",
            )

        yield Rig(
            working=to(server.port),
            nobody_there=to(free_port()),
            mute=to(mute),
            received=lambda: [
                " ".join(fields.values()) for _, fields in client.xrange("restoreproof:alerts")
            ],
        )
        client.acl_deluser("alerts")


RIGS: Mapping[str, Callable[[pytest.MonkeyPatch, ValkeyServer], AbstractContextManager[Rig]]] = {
    "apprise": _apprise,
    "valkey": _valkey,
}
