"""Whatever happens to runs, channels and the clock: told once, told again, told when it is over."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from restoreproof.alerts import memory as judging
from restoreproof.alerts.dispatcher import REMIND_AFTER, Dispatcher, Route
from restoreproof.alerts.memory import Incident, Memory
from restoreproof.alerts.model import Alert, Finding, Subject
from restoreproof.clock import MovableClock
from restoreproof.verdict import Verdict
from tests.harness.recording import RecordingChannel

START = datetime(2026, 1, 1, tzinfo=UTC)
RUNGS = ("exists", "integrity")


class Telling(RuleBasedStateMachine):
    """Runs with any verdicts, any channels down, any time between them.

    What any channel took is what the readers know. Runs are separate processes: a new dispatcher
    each time, with nothing but the state file between them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.clock = MovableClock(START)
        self.channels = {"a": RecordingChannel(), "b": RecordingChannel()}
        self.route = Route.ALL
        self.current: dict[str, Verdict] = {}
        self.read: list[Alert] = []

    def teardown(self) -> None:
        self._folder.cleanup()

    @initialize(route=st.sampled_from(Route))
    def choose(self, route: Route) -> None:
        self.route = route

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.clock.move(timedelta(hours=hours))

    @rule(name=st.sampled_from(["a", "b"]), down=st.booleans())
    def channel_goes(self, name: str, *, down: bool) -> None:
        if down:
            self.channels[name].down()
        else:
            self.channels[name].up()

    @rule(verdicts=st.dictionaries(st.sampled_from(RUNGS), st.sampled_from(Verdict)))
    def run(self, verdicts: dict[str, Verdict]) -> None:
        self.clock.move(timedelta(minutes=1))
        self.current |= verdicts
        findings = [Finding("n", "s", rung, verdict, "r") for rung, verdict in verdicts.items()]
        dispatcher = Dispatcher(
            self.channels,
            Path(self._folder.name) / "state",
            route=self.route,
            clock=self.clock,
            attempts=1,
        )
        told = {
            delivery.message: None
            for delivery in dispatcher.report(findings)
            if delivery.ok and isinstance(delivery.message, Alert)
        }
        self.read += told
        if any(channel.failure is None for channel in self.channels.values()):
            self.readers_know_the_present()

    def readers_know_the_present(self) -> None:
        """After a run with any working channel nothing is left untold."""
        for rung, verdict in self.current.items():
            history = [alert for alert in self.read if alert.rung == rung]
            if verdict is Verdict.PASSED:
                assert not history or history[-1].recovered
                continue
            assert verdict in {alert.verdict for alert in _after_last_recovery(history)}

    @invariant()
    def never_the_same_twice_within_the_interval(self) -> None:
        for rung in RUNGS:
            history = [alert for alert in self.read if alert.rung == rung]
            for verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE):
                last: datetime | None = None
                for alert in history:
                    if alert.recovered:
                        last = None
                    elif alert.verdict is verdict:
                        assert last is None or alert.at - last >= REMIND_AFTER
                        last = alert.at

    @invariant()
    def a_recovery_is_never_told_twice(self) -> None:
        for rung in RUNGS:
            history = [alert for alert in self.read if alert.rung == rung]
            for before, alert in pairwise(history):
                if before.recovered and alert.recovered:
                    # the failure between them reached nobody: its recovery tells of it
                    assert alert.first_failed > before.at


def _after_last_recovery(history: list[Alert]) -> list[Alert]:
    recoveries = [number for number, alert in enumerate(history) if alert.recovered]
    return history[recoveries[-1] + 1 :] if recoveries else history


Telling.TestCase.settings = settings(stateful_step_count=20)
TestTelling = Telling.TestCase

moments = st.datetimes(datetime.fromisoformat("1970-01-01"), timezones=st.just(UTC))
bad = st.sampled_from([Verdict.FAILED, Verdict.INCONCLUSIVE])
subjects = st.builds(Subject, st.text(), st.text(), st.text())
incidents = st.builds(
    Incident,
    bad,
    st.text(),
    st.text(),
    moments,
    st.integers(1),
    st.dictionaries(bad, moments),
    st.none() | moments,
)


@given(st.builds(Memory, st.dictionaries(subjects, incidents), st.dictionaries(subjects, moments)))
def test_the_memory_survives_the_state_file(memory: Memory) -> None:
    assert judging.from_json(judging.to_json(memory)) == memory


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.fixed_dictionaries({"incidents": json_values, "last_good": json_values}))
def test_any_other_content_is_a_value_error(data: dict[str, object]) -> None:
    try:
        judging.from_json(data)
    except ValueError:
        return
    assert data["incidents"] == data["last_good"] == []
