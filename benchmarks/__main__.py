"""Measures the product beside what a user would run instead: ``./nox -s bench``.

    python -m benchmarks [--write] [--only SCENARIO] [--folder FOLDER]

``RESTOREPROOF_PROFILE=full`` measures on 5 GiB of data; ``quick`` only shows that everything runs.
``--write`` keeps the results in benchmarks/results and puts them into docs/BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir

from benchmarks.machine import machine, versions
from benchmarks.outcome import Results
from benchmarks.report import rendered, write_into
from benchmarks.scenario import PROFILES, SCENARIOS, bench, scenario

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "BENCHMARKS.md"
RESULTS = HERE / "results" / "main.json"


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", action="append", choices=SCENARIOS, default=[])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    options = parser.parse_args()
    profile = PROFILES[os.environ.get("RESTOREPROOF_PROFILE", "quick")]
    if options.rounds:
        profile = replace(profile, rounds=options.rounds)
    results = Results(
        profile=profile.name,
        command=f"RESTOREPROOF_PROFILE={profile.name} ./nox -s bench -- --write",
        machine=machine(options.folder or Path(gettempdir())),
        versions=versions(),
        outcomes=(),
    )
    if options.only and options.write and RESULTS.exists():
        results = results.after(Results.read(RESULTS))
    with bench(profile, options.folder) as shared:
        for name in options.only or SCENARIOS:
            print(f"{name}:", file=sys.stderr, flush=True)
            outcome = scenario(name)(shared)
            results = results.having(replace(outcome, date=f"{datetime.now(UTC):%Y-%m-%d}"))
            results = results.ordered(list(SCENARIOS))
            if options.write:  # each as soon as it is there: the next one may take long
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(results.to_json(), encoding="utf-8")
                write_into(DOCUMENT, results)
    print(rendered(results))


if __name__ == "__main__":
    main()
