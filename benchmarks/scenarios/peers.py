"""What one would pick instead: the same dump into a repository of restic or Borg."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Sample, Variant, in_turns
from benchmarks.outcome import Outcome, Way
from benchmarks.scenario import Bench
from benchmarks.site import PROVEN, Site

MEGABYTES = 1 << 10
"""At most: what one would pick instead is not worth more time than the product."""

_DUMP = '"$1" -Fc --compress=none --dbname="$2"'
_PEERS = {
    "restic": (
        'restic -q -r "$3" init',
        f'{_DUMP} | restic -q -r "$3" backup --stdin --stdin-filename database.dump',
        "`pg_dump -Fc --compress=none | restic backup --stdin`: encrypts, proves nothing",
    ),
    "borg": (
        'borg init --encryption none "$3"',
        f'{_DUMP} | borg create --compression zstd,3 "$3::database" -; sync -f "$3"',
        "`pg_dump -Fc --compress=none | borg create --compression zstd,3 … -`: proves nothing",
    ),
}
_OURS = "inv backup.run"


def measure(bench: Bench) -> Outcome:
    site = bench.site(min(MEGABYTES, bench.profile.megabytes))
    ways: dict[str, Callable[[], Sample]] = {_OURS: partial(_ours, site)}
    commands = {_OURS: "`inv backup.run`: content fingerprinted and signed"}
    for name, (prepare, run, command) in _PEERS.items():
        if shutil.which(name):
            ways[name] = partial(_peer, site, prepare, run)
            commands[name] = command
    taken = in_turns([Variant(name, way) for name, way in ways.items()], bench.profile.rounds)
    return Outcome(
        name="peers",
        title="What one would pick instead",
        data=site.described,
        ways=tuple(Way(name, commands[name], tuple(runs)) for name, runs in taken.items()),
        targets=(),
    )


def _ours(site: Site) -> Sample:
    site.forget(PROVEN)
    site.settle()
    return site.restoreproof("backup.run", "--set", PROVEN)


def _peer(site: Site, prepare: str, run: str) -> Sample:
    repository = site.folder / "repository"  # a new one: the same data again would cost nothing
    shutil.rmtree(repository, ignore_errors=True)
    arguments = (site.program("pg_dump"), site.dsn, str(repository))
    environment = {
        "RESTIC_PASSWORD": "benchmark",
        "HOME": str(Path(site.environment["TMPDIR"])),
    }
    site.shell(prepare, *arguments, **environment)
    site.settle()
    return site.shell(run, *arguments, **environment)
