"""Our own rules over 1,000 Dockerfiles, beside what hadolint and Trivy take for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Sample, Spread, Variant, command, in_turns, wall
from benchmarks.outcome import Outcome, Target, Way
from benchmarks.scenario import Bench
from tests.harness import scanner_tools

FILES = 1000
SECONDS = 3.0
OURS, HADOLINT, TRIVY = "own rules", "hadolint", "trivy"
COMMANDS = {
    OURS: "`inv harden.scan`, the configuration has the scanner `restoreproof` alone",
    HADOLINT: "`hadolint --format json FILE…`",
    TRIVY: "`trivy fs --scanners misconfig --format json`",
}

_DOCKERFILE = """\
FROM python:3.12-slim AS build
ARG UID=1000
ENV A=1 B=${{UID}} NUMBER={number}
RUN apt-get update \\
 && apt-get install -y --no-install-recommends gcc \\
 && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN pip wheel --wheel-dir /w /src
FROM python:3.12-slim
COPY --from=build --chown=1000:1000 /w /w
USER ${{UID:-1000}}
CMD ["python", "-m", "app"]
"""


def measure(bench: Bench) -> Outcome:
    missing = scanner_tools.make()
    if missing:
        raise SystemExit(f"the programs of scanners cannot be had: {missing}")
    with TemporaryDirectory(prefix="bench-", dir=bench.folder) as name:
        folder = Path(name)
        files = _fill(folder)
        taken = in_turns(_variants(folder, files), bench.profile.rounds)
    return Outcome(
        name="dockerfiles",
        title="Dockerfiles",
        data=f"{FILES:,} Dockerfiles of two stages",
        ways=tuple(Way(way, COMMANDS[way], tuple(runs)) for way, runs in taken.items()),
        targets=(
            Target(
                f"own rules over {FILES:,} Dockerfiles, seconds, start-up included",
                SECONDS,
                Spread.of(map(wall, taken[OURS])),
            ),
        ),
    )


def _fill(folder: Path) -> list[str]:
    (folder / "restoreproof.toml").write_text('[scanner.rules]\nkind = "restoreproof"\n')
    names = []
    for number in range(FILES):
        path = folder / f"{number:04}" / "Dockerfile"
        path.parent.mkdir()
        path.write_text(_DOCKERFILE.format(number=number), encoding="utf-8")
        names.append(f"{path.parent.name}/Dockerfile")
    return names


def _variants(folder: Path, files: Sequence[str]) -> list[Variant]:
    tools = scanner_tools.FOLDER / "bin"
    ours = (sys.executable, "-P", "-m", "restoreproof_cli.main", "harden.scan", "--quiet")
    trivy = ("fs", "--scanners", "misconfig", "--format", "json", "--quiet", "--offline-scan")
    cache = ("--skip-check-update", "--skip-version-check", "--cache-dir", str(folder / ".cache"))

    def timed(*argv: str | os.PathLike[str]) -> Callable[[], Sample]:
        def run() -> Sample:
            sample = command(argv, cwd=folder, accept=(0, 1))
            return replace(sample, notes={"Dockerfiles a second": FILES / sample.wall})

        return run

    return [
        Variant(OURS, timed(*ours)),
        Variant(HADOLINT, timed(tools / "hadolint", "--format", "json", *files)),
        Variant(TRIVY, timed(tools / "trivy", *trivy, *cache, ".")),
    ]
