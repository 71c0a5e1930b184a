"""Measuring commands: whole process trees, in turns, with medians and spread.

A command is measured with all its descendants and with the servers it makes work, which are no
descendants of it. Variants take turns (A B A B …), so that whatever else the machine does hits all
of them; what is quoted are medians, and ratios of the runs of one turn.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import Watcher, collect, cpu_seconds

_NOW_AND_THEN = 0.2, 0.02
_CLOSELY = 0.01, 0.5
"""Seconds between two looks at the memory, and the share of a core that they may take."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run.

    Attributes:
        wall: seconds.
        cpu: seconds, of the command's tree and of the servers.
        server_cpu: seconds of those, of the servers.
        memory: the most bytes that the command's tree had at once; 0 where it was too short.
        notes: further figures by name.
    """

    wall: float
    cpu: float
    server_cpu: float = 0.0
    memory: int = 0
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the ways that are compared.

    Attributes:
        name: short.
        run: does it once and measures it.
    """

    name: str
    run: Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle, the least and the most of some runs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        seen = sorted(values)
        return cls(statistics.median(seen), seen[0], seen[-1])


def wall(sample: Sample) -> float:
    """Seconds that it took."""
    return sample.wall


def cpu(sample: Sample) -> float:
    """CPU seconds that it took, with the servers'."""
    return sample.cpu


def command(
    argv: Sequence[str | os.PathLike[str]],
    *,
    servers: Iterable[int] = (),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    closely: bool = False,
    accept: Iterable[int] = (0,),
) -> Sample:
    """Run a command once.

    Args:
        argv: program and arguments; what it prints on standard output is thrown away.
        servers: process ids of servers that work for it.
        cwd: the folder to start in.
        env: the whole environment; ours where it is not given.
        closely: watch the memory so closely that the time is worth nothing.
        accept: exit codes of a run that did its work.

    Raises:
        SystemExit: it ended with another one.
    """
    servers = tuple(servers)
    pause, share = _CLOSELY if closely else _NOW_AND_THEN
    before = sum(map(cpu_seconds, servers))
    begun = time.monotonic()
    child = subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    with Watcher(child.pid, pause=pause, share=share) as watcher:
        code, own_cpu = collect(child.pid)
        wall = time.monotonic() - begun
    child.returncode = code
    server_cpu = sum(map(cpu_seconds, servers)) - before
    if code not in accept:
        raise SystemExit(f"a measured command ended with {code}: {Path(argv[0]).name}")
    return Sample(wall, own_cpu + server_cpu, server_cpu, watcher.peak)


def in_turns(variants: Sequence[Variant], rounds: int) -> dict[str, list[Sample]]:
    """Run every variant ``rounds`` times, taking turns; tells each run on standard error."""
    taken: dict[str, list[Sample]] = {variant.name: [] for variant in variants}
    for turn in range(rounds):
        # the order changes from turn to turn, so that none always comes first
        for variant in variants if turn % 2 == 0 else reversed(variants):
            sample = variant.run()
            taken[variant.name].append(sample)
            print(
                f"  {variant.name}, {turn + 1} of {rounds}: {sample.wall:.2f} s, "
                f"{sample.cpu:.2f} CPU s, {sample.memory / 2**20:.0f} MiB",
                file=sys.stderr,
                flush=True,
            )
    return taken


def ratios(
    over: Sequence[Sample], under: Sequence[Sample], figure: Callable[[Sample], float]
) -> Spread:
    """The ratio of a figure, turn by turn."""
    return Spread.of(figure(a) / figure(b) for a, b in zip(over, under, strict=True))
