"""All scanners side by side over this repository, beside each of them alone."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Sample, Spread, Variant, command, in_turns
from benchmarks.outcome import Outcome, Target, Way
from benchmarks.scenario import Bench
from tests.harness import scanner_tools

ROOT = Path(__file__).parents[2]
POLICY = ROOT / "hardening.toml"
LIMIT = 1.2
ALL = "all side by side"
_JUDGED = (0, 1, 2)
"""What is found, or cannot be judged offline, is no matter of time."""


def measure(bench: Bench) -> Outcome:
    missing = scanner_tools.make()
    if missing:
        raise SystemExit(f"the programs of scanners cannot be had: {missing}")
    names = list(tomllib.loads(POLICY.read_text(encoding="utf-8"))["scanner"])
    variants = [Variant(ALL, _scan()), *(Variant(name, _scan(name)) for name in names)]
    taken = in_turns(variants, bench.profile.rounds)
    alone = [taken[name] for name in names]
    return Outcome(
        name="security",
        title="Security scan of this repository",
        data=f"{len(names)} scanners of hardening.toml, without vulnerability services",
        ways=tuple(Way(name, _command(name), tuple(runs)) for name, runs in taken.items()),
        targets=(
            Target(
                "all side by side to the slowest alone, or half of their CPU seconds, wall",
                LIMIT,
                to_bound(taken[ALL], alone),
            ),
        ),
    )


def to_bound(together: Sequence[Sample], alone: Sequence[Sequence[Sample]]) -> Spread:
    """Turn by turn, to the larger of the slowest alone and half of the CPU seconds of all."""
    slowest = (max(runs[turn].wall for runs in alone) for turn in range(len(together)))
    return Spread.of(
        one.wall / max(single, one.cpu / 2) for one, single in zip(together, slowest, strict=True)
    )


def _scan(*only: str) -> Callable[[], Sample]:
    def run() -> Sample:
        return command(
            [
                *(sys.executable, "-P", "-m", "restoreproof_cli.main", "harden.scan"),
                *("--config", POLICY, "--offline", "--quiet"),
                *(argument for name in only for argument in ("--only", name)),
            ],
            cwd=ROOT,
            env={**os.environ, "PATH": scanner_tools.path()},
            accept=_JUDGED,
        )

    return run


def _command(name: str) -> str:
    only = "" if name == ALL else f" --only {name}"
    return f"`inv harden.scan --config hardening.toml --offline{only}`"
