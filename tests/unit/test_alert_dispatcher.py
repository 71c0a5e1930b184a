from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from restoreproof.alerts.dispatcher import Dispatcher, Route
from restoreproof.alerts.model import Finding
from restoreproof.clock import MovableClock
from restoreproof.events import Event, Warned
from restoreproof.verdict import Verdict
from tests.harness.recording import RecordingChannel

START = datetime(2026, 3, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
P, F, U = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


def finding(
    verdict: Verdict, *, rung: str = "integrity", store: str = "orders", reason: str = ""
) -> Finding:
    return Finding("nightly", store, rung, verdict, reason or f"it {verdict}", "look")


class Rig:
    """Two channels, a clock and a state file; ``run`` is one nightly run in a new process."""

    def __init__(self, state: Path) -> None:
        self.first, self.second = RecordingChannel(), RecordingChannel()
        self.clock = MovableClock(START)
        self.state = state
        self.events: list[Event] = []
        self.route = Route.ALL

    def dispatcher(self) -> Dispatcher:
        return Dispatcher(
            {"first": self.first, "second": self.second},
            self.state,
            route=self.route,
            clock=self.clock,
            host="db1",
            emit=self.events.append,
            attempts=1,
        )

    def run(self, *findings: Finding, after: timedelta = timedelta(0)) -> list[str]:
        """What the first channel was told in this run: verdicts, ``recovered`` for a recovery."""
        self.clock.move(after)
        before = len(self.first.alerts)
        self.deliveries = self.dispatcher().report(findings)
        return [
            "recovered" if alert.recovered else alert.verdict.value
            for alert in self.first.alerts[before:]
        ]

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "alerts.json")


def test_a_pass_tells_nobody_and_beats(rig: Rig) -> None:
    assert rig.run(finding(P)) == []
    (heartbeat,) = rig.first.heartbeats
    assert (heartbeat.set, heartbeat.store, heartbeat.verdict) == ("nightly", "orders", P)
    assert heartbeat.last_good == START


def test_a_shallow_look_does_not_make_a_store_pass_that_fails_further_up(rig: Rig) -> None:
    rig.run(finding(F, rung="content"))
    rig.run(finding(P, rung="exists"))
    last = rig.first.heartbeats[-1]
    assert (last.verdict, last.last_good) == (F, None)
    rig.run(finding(P, rung="content"))
    assert rig.first.heartbeats[-1].verdict is P


def test_a_failure_is_told_at_once_with_all_that_is_known(rig: Rig) -> None:
    rig.run(finding(P))
    assert rig.run(finding(F, reason="a byte differs"), after=HOUR) == ["failed"]

    (alert,) = rig.first.alerts
    assert alert.reason == "a byte differs"
    assert alert.hint == "look"
    assert (alert.last_good, alert.first_failed, alert.at) == (START, START + HOUR, START + HOUR)
    assert (alert.occurrences, alert.host, alert.recovered) == (1, "db1", False)


def test_the_same_failure_is_a_reminder_only_after_a_day(rig: Rig) -> None:
    assert rig.run(finding(F)) == ["failed"]
    assert rig.run(finding(F), after=23 * HOUR) == []
    assert rig.run(finding(F), after=HOUR) == ["failed"]
    assert rig.run(finding(F), after=23 * HOUR) == []
    assert rig.first.alerts[-1].occurrences == 3
    assert rig.first.alerts[-1].first_failed == START


def test_a_reminder_needs_a_run_that_meets_the_failure(rig: Rig) -> None:
    rig.run(finding(F))
    assert rig.run(finding(P, rung="exists"), after=48 * HOUR) == []


def test_a_changed_verdict_is_told_at_once(rig: Rig) -> None:
    assert rig.run(finding(U)) == ["inconclusive"]
    assert rig.run(finding(F), after=HOUR) == ["failed"]


def test_a_verdict_that_flaps_does_not_spam(rig: Rig) -> None:
    told = [rig.run(finding(v), after=HOUR) for v in (U, F, U, F, U)]
    assert told == [["inconclusive"], ["failed"], [], [], []]


def test_a_recovery_is_told_once(rig: Rig) -> None:
    rig.run(finding(F))
    assert rig.run(finding(P), after=HOUR) == ["recovered"]
    assert rig.run(finding(P), after=HOUR) == []

    (_, alert) = rig.first.alerts
    assert (alert.verdict, alert.first_failed, alert.last_good) == (P, START, START + HOUR)
    assert "it failed" in alert.reason


def test_a_failure_after_a_recovery_is_a_new_one(rig: Rig) -> None:
    told = [rig.run(finding(v), after=HOUR) for v in (F, P, F)]
    assert told == [["failed"], ["recovered"], ["failed"]]
    assert rig.first.alerts[-1].first_failed == START + 3 * HOUR


def test_an_inconclusive_rung_does_not_recover_a_failed_one(rig: Rig) -> None:
    rig.run(finding(F))
    assert "recovered" not in rig.run(finding(U), after=HOUR)


def test_rungs_and_stores_are_told_apart(rig: Rig) -> None:
    told = rig.run(finding(F), finding(F, rung="content"), finding(U, store="sessions"))
    assert sorted(told) == ["failed", "failed", "inconclusive"]
    assert rig.run(finding(P, rung="content"), after=HOUR) == ["recovered"]


def test_two_findings_about_one_rung_are_one_alert_of_the_worse(rig: Rig) -> None:
    assert rig.run(finding(U), finding(F), finding(P)) == ["failed"]
    assert rig.run(finding(P), finding(U), after=HOUR) == ["inconclusive"]


def test_every_channel_is_told(rig: Rig) -> None:
    rig.run(finding(F))
    assert len(rig.first.alerts) == len(rig.second.alerts) == 1


def test_the_second_channel_is_told_when_the_first_is_down(rig: Rig) -> None:
    for route in Route:
        rig.route = route
        rig.first.down()
        rig.run(finding(F, rung=route.value))
        assert rig.second.alerts[-1].rung == route.value


def test_on_fallback_the_second_channel_is_left_alone_while_the_first_works(rig: Rig) -> None:
    rig.route = Route.FALLBACK
    rig.run(finding(F))
    assert (len(rig.first.alerts), len(rig.second.alerts)) == (1, 0)


def test_what_one_channel_took_counts_as_told(rig: Rig) -> None:
    rig.first.down()
    rig.run(finding(F))
    rig.first.up()
    assert rig.run(finding(F), after=HOUR) == []


def test_a_channel_that_failed_is_reported_and_hides_nothing(rig: Rig) -> None:
    rig.first.down()
    rig.run(finding(F))

    failed = [delivery for delivery in rig.deliveries if not delivery.ok]
    assert [(delivery.channel, delivery.error, delivery.hint) for delivery in failed[:1]] == [
        ("first", "nobody there", "call somebody")
    ]
    assert rig.warnings == ['the alert channel "first" failed: nobody there']


def test_a_defect_in_a_channel_hides_nothing_and_shows_no_text_of_its_own(rig: Rig) -> None:
    rig.first.failure = ZeroDivisionError("https://token@example.org")
    rig.run(finding(F))

    assert len(rig.second.alerts) == 1
    assert rig.deliveries[0].error == "it broke with ZeroDivisionError"


def test_a_channel_that_is_down_is_tried_once_in_a_run(rig: Rig) -> None:
    rig.first.down()
    rig.run(*(finding(F, store=f"s{number}") for number in range(20)))

    assert rig.first.calls == 1
    assert len(rig.second.alerts) == 20


@pytest.mark.parametrize("later", [finding(F), finding(P, rung="exists")])
def test_what_reached_nobody_is_told_in_the_next_run(rig: Rig, later: Finding) -> None:
    rig.first.down()
    rig.second.down()
    rig.run(finding(F))
    rig.first.up()
    rig.second.up()
    assert rig.run(later, after=HOUR) == ["failed"]
    assert rig.run(later, after=HOUR) == []


def test_a_failure_that_reached_nobody_is_told_with_its_recovery(rig: Rig) -> None:
    rig.first.down()
    rig.second.down()
    rig.run(finding(F, reason="a byte differs"))
    rig.first.up()
    assert rig.run(finding(P), after=HOUR) == ["recovered"]
    assert "a byte differs" in rig.first.alerts[-1].reason


def test_a_recovery_that_reached_nobody_is_told_in_the_next_run(rig: Rig) -> None:
    rig.run(finding(F))
    rig.first.down()
    rig.second.down()
    rig.run(finding(P), after=HOUR)
    rig.first.up()
    rig.second.up()
    assert rig.run(after=HOUR) == ["recovered"]
    assert rig.run(finding(P), after=HOUR) == []


def damaged(path: Path) -> None:
    path.write_text("{" * 100)


def foreign(path: Path) -> None:
    path.write_text(json.dumps({"format": 99, "data": {}}))


def mangled(path: Path) -> None:
    path.write_text(json.dumps({"format": 1, "data": {"incidents": [{"set": 1}], "last_good": []}}))


def in_the_way(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [damaged, foreign, mangled, in_the_way])
def test_a_state_file_that_cannot_be_used_never_prevents_an_alert(
    rig: Rig, harm: Callable[[Path], object]
) -> None:
    rig.run(finding(F))
    harm(rig.state)

    assert rig.run(finding(F), after=HOUR) == ["failed"]
    assert rig.warnings


@pytest.mark.parametrize("harm", [damaged, mangled])
def test_a_damaged_state_file_is_begun_anew(rig: Rig, harm: Callable[[Path], object]) -> None:
    rig.run(finding(F))
    harm(rig.state)
    rig.run(finding(F), after=HOUR)
    assert rig.run(finding(F), after=HOUR) == []


def test_within_one_process_a_state_file_that_cannot_be_written_does_not_spam(rig: Rig) -> None:
    rig.state.mkdir()
    dispatcher = rig.dispatcher()
    for _ in range(3):
        dispatcher.report([finding(F)])
    assert len(rig.first.alerts) == 1


def test_a_clock_that_was_set_back_does_not_silence_reminders(rig: Rig) -> None:
    rig.run(finding(F))
    rig.clock.jump(-timedelta(days=400))
    assert rig.run(finding(F)) == ["failed"]
    assert rig.run(finding(F), after=HOUR) == []


def test_the_state_holds_no_more_than_what_is_open(rig: Rig) -> None:
    for number in range(50):
        rig.run(finding(F, reason=f"number {number}"), after=HOUR)
        rig.run(finding(P), after=HOUR)
    data = json.loads(rig.state.read_text())
    assert "number" not in json.dumps(data)


def test_without_a_channel_nothing_is_told_and_nothing_breaks(tmp_path: Path) -> None:
    dispatcher = Dispatcher({}, tmp_path / "s", clock=MovableClock(START))
    assert dispatcher.report([finding(F)]) == ()


def test_a_channel_is_tried_again_within_one_run(rig: Rig) -> None:
    rig.first.down()
    dispatcher = Dispatcher({"first": rig.first}, rig.state, clock=rig.clock, attempts=2)
    dispatcher.report([finding(F)])
    assert rig.first.calls == 2
