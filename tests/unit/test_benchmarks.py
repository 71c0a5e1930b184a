"""The harness of the benchmarks counts what it says it counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.measure import Sample, Spread, Variant, command, in_turns, ratios, wall
from benchmarks.outcome import Outcome, Results, Target, Way
from benchmarks.pinging import longest_while
from benchmarks.processes import Watcher, cpu_seconds, memory_bytes
from benchmarks.report import BEGIN, END, rendered, write_into
from benchmarks.scenario import SCENARIOS, scenario
from benchmarks.scenarios.security import to_bound
from tests.harness.valkey import MakeValkeyServer, ValkeyServer

SPIN = """
import time
end = time.process_time() + {seconds}
while time.process_time() < end: pass
"""
SPAWNS = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}], check=True)\n"


def python(script: str) -> list[str]:
    return [sys.executable, "-S", "-c", script]


def results(found: Spread | None = None) -> Results:
    sample = Sample(10.5, 15.25, 2.0, 90 << 20)
    return Results(
        profile="full",
        command="a command",
        machine={"cores": "2"},
        versions={"Python": "3"},
        outcomes=(
            Outcome(
                "one",
                "One thing",
                "5 MiB of data",
                (Way("this", "`x`", (sample, sample)), Way("that", "`y`", (sample, sample))),
                (Target("this to that", 1.05, found or Spread(1.1, 1.0, 1.3)),),
                "2026-01-01",
            ),
        ),
    )


def test_grandchildren_count_after_they_have_ended() -> None:
    sample = command(python(SPAWNS.format(spin=SPIN.format(seconds=0.5))))
    assert 0.5 <= sample.cpu < 5
    assert sample.server_cpu == 0


def test_a_server_that_is_no_child_counts_with_those_of_its_children_that_ended() -> None:
    serve = "import sys\nfor line in sys.stdin:\n    exec(%r)\n    print(1, flush=True)\n"
    script = serve % SPAWNS.format(spin=SPIN.format(seconds=0.5))
    with subprocess.Popen(
        python(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as server:
        assert server.stdin
        assert server.stdout
        before = cpu_seconds(server.pid)
        server.stdin.write(b"work\n")
        server.stdin.flush()
        server.stdout.readline()
        used = cpu_seconds(server.pid) - before
        server.stdin.close()
    assert 0.45 <= used < 5


def test_the_memory_of_a_whole_family_is_seen() -> None:
    hold = "import sys\nx = b'1' * (64 << 20)\nprint(1, flush=True)\nsys.stdin.read()"
    spawn = f"subprocess.run([sys.executable, '-S', '-c', {hold!r}])"
    family = f"import subprocess, sys\nx = b'1' * (32 << 20)\n{spawn}"
    with subprocess.Popen(
        python(family), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout
        assert leader.stdin
        leader.stdout.readline()
        assert memory_bytes(leader.pid) >= 96 << 20
        leader.stdin.close()
    assert memory_bytes(leader.pid) == 0


def test_the_highest_of_some_looks_is_kept_and_a_few_looks_are_none() -> None:
    seen = iter([1, 7, 3, 2, 4, 0])
    with Watcher(os.getpid(), pause=0, look=lambda _pid: next(seen, 0)) as watcher:
        while not watcher.peak:
            time.sleep(0.001)
    assert watcher.peak == 7
    with Watcher(os.getpid(), pause=60, look=lambda _pid: 9) as short:
        pass
    assert short.peak == 0


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(SystemExit, match="ended with 3"):
        command(["sh", "-c", "exit 3"])


def test_an_exit_code_that_is_expected_is_a_measurement() -> None:
    assert command(python("raise SystemExit(2)"), accept=(0, 2)).wall > 0


def test_scanners_side_by_side_are_judged_by_the_larger_bound() -> None:
    slowest_alone = to_bound([Sample(12, 4)], [[Sample(10, 2)], [Sample(3, 2)]])
    half_of_the_work = to_bound([Sample(12, 24)], [[Sample(10, 12)], [Sample(3, 12)]])
    assert (slowest_alone.median, half_of_the_work.median) == (1.2, 1.0)


def test_variants_take_turns_and_none_is_always_first() -> None:
    order = []

    def run(name: str) -> Sample:
        order.append(name)
        return Sample(len(order), 1)

    taken = in_turns([Variant(n, lambda n=n: run(n)) for n in "ab"], 3)  # type: ignore[misc]
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert ratios(taken["b"], taken["a"], wall) == Spread(6 / 5, 3 / 4, 2 / 1)


@pytest.mark.parametrize(
    ("median", "verdict"),
    [(1.05, "met, 0% below"), (0.84, "met, 20% below"), (1.26, "missed, 20% above")],
)
def test_a_target_is_judged_by_the_median(median: float, verdict: str) -> None:
    assert Target("x", 1.05, Spread(median, 0.1, 9)).verdict == verdict


def test_what_was_written_is_read_back_and_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(results().to_json())
    read = Results.read(path)
    assert read == results()
    assert rendered(read) == rendered(results())


def test_the_document_keeps_what_stands_around_the_tables(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_into(page, results())
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| One thing: this to that | 1.05 | 1.10 (1.00 to 1.30) | missed, 5% above |" in text


def test_a_scenario_measured_anew_takes_the_place_of_its_earlier_outcome() -> None:
    (outcome,) = results(Spread(0.5, 0.5, 0.5)).outcomes
    assert results().having(outcome).outcomes == (outcome,)


def test_further_figures_stand_behind_their_way() -> None:
    (outcome,) = results().outcomes
    noted = replace(outcome.ways[0].samples[0], notes={"fork, ms": 2.5})
    ways = (replace(outcome.ways[0], samples=(noted, noted)),)
    text = rendered(replace(results(), outcomes=(replace(outcome, ways=ways),)))
    assert "; fork, ms: 2.50 (2.50 to 2.50)\n" in text


def test_a_blocked_server_is_seen_by_the_client_that_only_asks(valkey_server: ValkeyServer) -> None:
    def block() -> None:
        with valkey_server.client() as client:
            client.execute_command("DEBUG", "SLEEP", "0.5")

    assert longest_while(valkey_server.socket, block) > 0.4


def test_a_client_that_breaks_off_is_no_measurement(make_valkey_server: MakeValkeyServer) -> None:
    server = make_valkey_server()
    with pytest.raises(SystemExit, match="broke off"):
        longest_while(server.socket, server.stop)


def test_results_of_another_machine_are_not_mixed() -> None:
    with pytest.raises(SystemExit, match="another machine"):
        Results("full", "x", {"cores": "4"}, {"Python": "3"}, ()).after(results())


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_can_be_found(name: str) -> None:
    assert callable(scenario(name))
