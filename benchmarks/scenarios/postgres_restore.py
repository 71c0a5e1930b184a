"""A rehearsed restore, from nothing, beside pg_restore into a server that runs already."""

from __future__ import annotations

from benchmarks.measure import Sample, Variant, in_turns, ratios, wall
from benchmarks.outcome import Outcome, Target, Way
from benchmarks.scenario import Bench
from benchmarks.site import PLAIN, RESTORED

BASELINE, REHEARSED = "pg_restore", "rehearsal"
COMMANDS = {
    BASELINE: "`createdb; zstd -d | pg_restore` into a running server with default settings",
    REHEARSED: "`inv backup.verify --depth restore`: every byte read and its digest checked, a "
    "server made, started, restored into, removed",
}


def measure(bench: Bench) -> Outcome:
    site = bench.site()
    if not site.dumped.exists():
        site.dump()
    if not site.has(PLAIN):
        site.restoreproof("backup.run", "--set", PLAIN)

    def baseline() -> Sample:
        site.settle()
        try:
            return site.restore()
        finally:
            site.server.drop_database(RESTORED)

    def rehearse() -> Sample:
        site.settle()
        return site.restoreproof("backup.verify", "--set", PLAIN, "--depth", "restore", "--again")

    taken = in_turns(
        [Variant(BASELINE, baseline), Variant(REHEARSED, rehearse)], bench.profile.rounds
    )
    base, ours = taken[BASELINE], taken[REHEARSED]
    return Outcome(
        name="postgres-restore",
        title="PostgreSQL: rehearsed restore",
        data=site.described,
        ways=tuple(Way(name, COMMANDS[name], tuple(runs)) for name, runs in taken.items()),
        targets=(Target("rehearsal to pg_restore, wall", 0.65, ratios(ours, base, wall)),),
    )
