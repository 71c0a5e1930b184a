"""Peak memory of backup and rehearsal, small data beside large."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.measure import Sample, Spread, Variant, in_turns
from benchmarks.outcome import Outcome, Target, Way
from benchmarks.scenario import SMALL, Bench
from benchmarks.site import PROVEN, Site

FLAT = 1.2
"""What still counts as flat, large to small."""


def measure(bench: Bench) -> Outcome:
    sites = {"small": bench.site(SMALL), "large": bench.site()}

    def backup(site: Site) -> Sample:
        site.forget(PROVEN)
        return site.restoreproof("backup.run", "--set", PROVEN, closely=True)

    def verify(site: Site) -> Sample:
        return site.restoreproof("backup.verify", "--set", PROVEN, "--again", closely=True)

    works: dict[str, Callable[[Site], Sample]] = {"backup": backup, "verification": verify}
    variants = [
        Variant(f"{work}, {size}", partial(do, site))
        for work, do in works.items()
        for size, site in sites.items()
    ]
    taken = in_turns(variants, 1)
    commands = {
        "backup": "`inv backup.run`, the source's own server left out",
        "verification": "`inv backup.verify`, the disposable server counted in",
    }
    return Outcome(
        name="postgres-memory",
        title="PostgreSQL: memory",
        data=f"{sites['small'].described} (small); {sites['large'].described} (large)",
        ways=tuple(
            Way(name, commands[name.partition(",")[0]], tuple(runs)) for name, runs in taken.items()
        ),
        targets=tuple(
            Target(
                f"peak of a {work}, large to small",
                FLAT,
                Spread.of(
                    large.memory / small.memory
                    for large, small in zip(
                        taken[f"{work}, large"], taken[f"{work}, small"], strict=True
                    )
                ),
            )
            for work in works
        ),
    )
