"""A backup of PostgreSQL beside ``pg_dump | zstd``, without and with the fingerprint."""

from __future__ import annotations

from benchmarks.measure import Sample, Spread, Variant, cpu, in_turns, ratios, wall
from benchmarks.outcome import Outcome, Target, Way
from benchmarks.scenario import Bench
from benchmarks.site import PLAIN, PROVEN

BASELINE, WITHOUT, WITH = "pg_dump and zstd", "without fingerprint", "with fingerprint"
COMMANDS = {
    BASELINE: "`pg_dump -Fc --compress=none | zstd -T0 -3 > FILE; sync FILE`",
    WITHOUT: "`inv backup.run`, `fingerprint = false`",
    WITH: "`inv backup.run`",
}


def measure(bench: Bench) -> Outcome:
    site = bench.site()

    def baseline() -> Sample:
        site.settle()
        return site.dump()

    def run(name: str) -> Sample:
        site.forget(name)
        site.settle()
        return site.restoreproof("backup.run", "--set", name)

    taken = in_turns(
        [
            Variant(BASELINE, baseline),
            Variant(WITHOUT, lambda: run(PLAIN)),
            Variant(WITH, lambda: run(PROVEN)),
        ],
        bench.profile.rounds,
    )
    base, without, proven = taken[BASELINE], taken[WITHOUT], taken[WITH]
    own = Spread.of((b.cpu - a.cpu) / c.cpu for a, b, c in zip(without, proven, base, strict=True))
    return Outcome(
        name="postgres-backup",
        title="PostgreSQL: backup",
        data=site.described,
        ways=tuple(Way(name, COMMANDS[name], tuple(runs)) for name, runs in taken.items()),
        targets=(
            Target(
                "without fingerprint to pg_dump and zstd, wall", 1.05, ratios(without, base, wall)
            ),
            Target(
                "without fingerprint to pg_dump and zstd, CPU", 1.05, ratios(without, base, cpu)
            ),
            Target("with fingerprint to pg_dump and zstd, wall", 1.25, ratios(proven, base, wall)),
            Target(
                "CPU of the fingerprint alone to that of pg_dump, its backend and zstd", 0.5, own
            ),
        ),
    )
