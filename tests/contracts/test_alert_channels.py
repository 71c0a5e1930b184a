"""What every kind of alert channel has to keep, against a real other side."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from restoreproof.alerts.channel import Channel
from restoreproof.alerts.kinds import CHANNELS
from restoreproof.alerts.model import Heartbeat
from restoreproof.errors import ConfigError, Unreachable
from restoreproof.verdict import Verdict
from tests.harness.alert_channels import NOON, RIGS, SECRET, Rig, an_alert, channel
from tests.harness.valkey import ValkeyServer

BOUND_SECONDS = 10
"""Far above the timeouts that the rigs set, far below forever."""


@pytest.fixture(params=CHANNELS.names())
def rig(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, valkey_server: ValkeyServer
) -> Iterator[Rig]:
    with RIGS[request.param](monkeypatch, valkey_server) as made:
        yield made


def test_every_kind_has_a_rig() -> None:
    assert set(CHANNELS.names()) == set(RIGS)


def test_what_is_sent_arrives_with_everything_a_reader_needs(rig: Rig) -> None:
    rig.working.send(an_alert())

    (text,) = rig.received()
    for part in ("nightly", "orders", "integrity", "is not what the manifest says"):
        assert part in text
    for part in ("restore from the copy offsite", "2026-02-28", "2026-02-27", "db1.example"):
        assert part in text
    assert "failed" in text.lower()


def test_a_recovery_can_be_told_from_a_failure(rig: Rig) -> None:
    rig.working.send(an_alert(verdict=Verdict.PASSED, recovered=True))

    (text,) = rig.received()
    assert "recovered" in text.lower() or " passed 1 " in text


def test_hostile_names_arrive_as_text(rig: Rig) -> None:
    rig.working.send(
        an_alert(store="o\r\nBcc: x@example.org <b>&amp;", reason="ünï ☃ {{7*7}} $(id) \x1b[2J")
    )

    (text,) = rig.received()
    assert "ünï ☃ {{7*7}} $(id)" in text


def test_nothing_known_of_the_last_good_run_is_said_so(rig: Rig) -> None:
    rig.working.send(an_alert(last_good=None, hint=""))

    assert len(rig.received()) == 1


def test_a_heartbeat_is_taken_and_is_no_alert(rig: Rig) -> None:
    rig.working.beat(Heartbeat("nightly", "orders", Verdict.PASSED, NOON, NOON, "db1.example"))

    assert rig.received() == []


def test_a_probe_finds_a_working_channel_and_tells_nobody(rig: Rig) -> None:
    assert rig.working.probe()
    assert rig.received() == []


@pytest.mark.parametrize("which", ["nobody_there", "mute"])
def test_an_address_that_does_not_take_it_is_unreachable_soon_and_shows_no_secret(
    rig: Rig, which: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    failing: Channel = getattr(rig, which)
    begun = time.monotonic()

    with caplog.at_level(1, logger=None), _every_logger_at(1), pytest.raises(Unreachable) as caught:
        failing.send(an_alert())

    assert time.monotonic() - begun < BOUND_SECONDS
    assert caught.value.hint
    out, err = capfd.readouterr()
    seen = [repr(caught.value), str(caught.value), caught.value.hint, repr(failing), caplog.text]
    chain = repr(caught.value.__cause__)
    assert not [text for text in (*seen, chain, out, err) if SECRET in text]


def test_a_working_channel_logs_no_secret(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(1, logger=None), _every_logger_at(1):
        rig.working.send(an_alert())
        rig.working.probe()

    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", CHANNELS.names())
def test_a_missing_secret_is_a_configuration_error_that_names_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_URL", raising=False)

    with pytest.raises(ConfigError, match="NO_SUCH_URL"):
        channel(kind, url={"env": "NO_SUCH_URL"}).send(an_alert())


@pytest.mark.parametrize("kind", CHANNELS.names())
def test_an_address_that_makes_no_sense_is_a_configuration_error_without_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NONSENSE_URL", f"nonsense://{SECRET}:99999999/")

    for action in ("send", "probe"):
        failing = channel(kind, url={"env": "NONSENSE_URL"})
        with pytest.raises(ConfigError) as caught:
            failing.send(an_alert()) if action == "send" else failing.probe()
        assert SECRET not in str(caught.value) + caught.value.hint
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


class _every_logger_at:  # noqa: N801  reads as a phrase
    """Sets the level of all loggers that exist, as an application that debugs would."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._before: dict[logging.Logger, int] = {}

    def __enter__(self) -> None:
        for logger in logging.root.manager.loggerDict.values():
            if isinstance(logger, logging.Logger):
                self._before[logger] = logger.level
                logger.setLevel(self._level)

    def __exit__(self, *_exception: object) -> None:
        for logger, level in self._before.items():
            logger.setLevel(level)
