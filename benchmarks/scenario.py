"""What a scenario is, and which there are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from benchmarks.outcome import Outcome
from benchmarks.site import Site, site

SMALL = 100
"""MiB; memory at this size is compared with memory at full size."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is measured.

    Attributes:
        name: as in ``RESTOREPROOF_PROFILE``.
        megabytes: MiB of table data.
        rounds: turns of each variant.
        starts: turns of what takes less than a second.
    """

    name: str
    megabytes: int
    rounds: int
    starts: int


PROFILES = {
    profile.name: profile
    for profile in (Profile("quick", 200, 1, 5), Profile("full", 5 << 10, 3, 31))
}


@dataclass
class Bench:
    """What scenarios share: the profile, and sites that are filled only once.

    Attributes:
        profile: how much to measure.
        folder: on the disk to measure; the system's own where it is None.
        stack: what is undone when the benchmark is over.
    """

    profile: Profile
    folder: Path | None
    stack: ExitStack = field(default_factory=ExitStack, repr=False)
    _sites: dict[int, Site] = field(default_factory=dict, repr=False)

    def site(self, megabytes: int | None = None) -> Site:
        """A site with that much data, or with as much as the profile says."""
        wanted = megabytes or self.profile.megabytes
        if wanted not in self._sites:
            self._sites[wanted] = self.stack.enter_context(site(wanted, folder=self.folder))
        return self._sites[wanted]


@contextmanager
def bench(profile: Profile, folder: Path | None) -> Iterator[Bench]:
    """What is shared, until the block ends."""
    shared = Bench(profile, folder)
    with shared.stack:
        yield shared


Scenario: TypeAlias = "Callable[[Bench], Outcome]"

SCENARIOS = {
    "start": "benchmarks.scenarios.start:measure",
    "postgres-backup": "benchmarks.scenarios.postgres_backup:measure",
    "postgres-restore": "benchmarks.scenarios.postgres_restore:measure",
    "postgres-memory": "benchmarks.scenarios.postgres_memory:measure",
    "valkey-blocked": "benchmarks.scenarios.valkey_blocked:measure",
    "security": "benchmarks.scenarios.security:measure",
    "dockerfiles": "benchmarks.scenarios.dockerfiles:measure",
    "peers": "benchmarks.scenarios.peers:measure",
}
"""In the order in which they run; a further store adds its line here."""


def scenario(name: str) -> Scenario:
    """The scenario of that name; its module is imported now."""
    module, _, function = SCENARIOS[name].partition(":")
    found: Scenario = getattr(importlib.import_module(module), function)
    return found
