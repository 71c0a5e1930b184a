"""The page of benchmarks says what the last results say, and nothing that was not measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.__main__ import DOCUMENT, RESULTS
from benchmarks.outcome import Results
from benchmarks.report import BEGIN, END, rendered
from benchmarks.scenario import SCENARIOS


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.read(RESULTS)


def test_the_tables_are_those_of_the_last_results(results: Results) -> None:
    _, _, rest = DOCUMENT.read_text().partition(BEGIN)
    tables, end, _ = rest.partition(END)
    assert end
    assert tables == f"\n{rendered(results)}"


def test_every_scenario_was_measured_at_full_size_or_is_said_not_to_be(results: Results) -> None:
    measured = {outcome.name for outcome in results.outcomes}
    assert measured <= set(SCENARIOS)
    for name in set(SCENARIOS) - measured:
        assert f"- not measured yet: `{name}`" in DOCUMENT.read_text()
    assert results.profile == "full"


def test_every_target_has_its_runs(results: Results) -> None:
    for outcome in results.outcomes:
        assert outcome.ways
        assert outcome.date
        assert all(way.samples for way in outcome.ways)


def test_a_missed_target_is_explained(results: Results) -> None:
    explained = DOCUMENT.read_text().partition(END)[2]
    for outcome in results.outcomes:
        for target in outcome.targets:
            if not target.met:
                assert target.what in explained


def test_results_name_no_folder_of_the_machine() -> None:
    assert not re.search(r"/(tmp|home|root|work|srv|var)\b", Path(RESULTS).read_text())
