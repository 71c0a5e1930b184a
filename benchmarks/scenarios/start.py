"""Start-up: ``inv --list`` with all tasks of the product beside a tasks file with one task."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Sample, Variant, command, cpu, in_turns, ratios, wall
from benchmarks.outcome import Outcome, Target, Way
from benchmarks.scenario import Bench

ROOT = Path(__file__).parents[2]
LIMIT = 1.5
_BARE = '''\
from invoke import task


@task
def hello(context):
    """Say hello."""
    print("hello")
'''


def measure(bench: Bench) -> Outcome:
    inv = str(Path(sys.executable).with_name("inv"))
    with TemporaryDirectory() as folder:
        Path(folder, "tasks.py").write_text(_BARE)

        def bare() -> Sample:
            return command([inv, "--list"], cwd=Path(folder))

        def ours() -> Sample:
            return command([ROOT / "inv", "--list"], cwd=ROOT)

        def theirs() -> Sample:
            return command([inv, "--list"], cwd=ROOT)

        variants = [
            Variant("one task", bare),
            Variant("./inv", ours),
            Variant("inv of Invoke", theirs),
        ]
        for variant in variants:
            variant.run()  # byte code is written, files are in memory
        taken = in_turns(variants, bench.profile.starts)
    commands = {
        "one task": "`inv --list` beside a tasks.py with one task",
        "./inv": "`./inv --list`",
        "inv of Invoke": "`inv --list` beside our tasks.py",
    }
    one = taken["one task"]
    targets = [
        Target(f"{name} to a tasks file with one task, {figure}", LIMIT, ratios(runs, one, of))
        for name, runs in taken.items()
        if name != "one task"
        for figure, of in (("wall", wall), ("CPU", cpu))
    ]
    return Outcome(
        name="start",
        title="Start-up",
        data="",
        ways=tuple(Way(name, commands[name], tuple(runs)) for name, runs in taken.items()),
        targets=tuple(targets),
    )
