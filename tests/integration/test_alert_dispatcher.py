"""The dispatcher with real channels: one of them down."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from restoreproof.alerts.dispatcher import Dispatcher, Route
from restoreproof.alerts.model import Finding
from restoreproof.clock import MovableClock
from restoreproof.verdict import Verdict
from tests.harness.alert_channels import channel
from tests.harness.valkey import ValkeyServer, free_port

STREAM = "restoreproof:alerts"


@pytest.mark.parametrize("route", Route)
def test_the_second_channel_is_told_when_the_first_is_down(
    route: Route, valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    dispatcher = Dispatcher(
        {
            "dead": channel("valkey", url=f"valkey://127.0.0.1:{free_port()}"),
            "dashboard": channel("valkey", url=valkey_server.url),
        },
        tmp_path / "alerts.json",
        route=route,
        clock=MovableClock(datetime(2026, 3, 1, tzinfo=UTC)),
    )
    begun = time.monotonic()

    deliveries = dispatcher.report(
        [Finding("nightly", "orders", "restore", Verdict.FAILED, "it does not restore", "look")]
    )

    assert time.monotonic() - begun < 15
    assert [(delivery.channel, delivery.ok) for delivery in deliveries[:2]] == [
        ("dead", False),
        ("dashboard", True),
    ]
    with valkey_server.client() as stream:
        assert stream.xlen(STREAM) == 1
        assert stream.hget(f"{STREAM}:status:nightly/orders", "verdict") == "failed"
