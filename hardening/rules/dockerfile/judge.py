"""All rules over one Dockerfile."""

from __future__ import annotations

from collections.abc import Iterator

from hardening.rules.dockerfile import bases, runs, users, values
from hardening.rules.dockerfile.build import Build
from hardening.rules.rule import Found

CHECKS = (*users.CHECKS, *bases.CHECKS, *runs.CHECKS, *values.CHECKS)


def judge(build: Build) -> Iterator[Found]:
    """What is wrong with it; the build context is judged elsewhere."""
    for check in CHECKS:
        yield from check(build)
