"""Disposable PostgreSQL: time to start and to stop, and what its throw-away settings are worth.

Run from the project's folder: ``python -m benchmarks.postgres_sandbox [MEGABYTES] [ROUNDS]``.
Both kinds of settings take turns within one run, so that whatever else the machine does hits both.
Prints one JSON document: seconds, each the median of the rounds, and the ratio.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from backup_lib.model import Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.postgres.server import PostgresRecipe
from backup_lib.work import Work
from restoreproof.process import clean_env

ROWS_A_MEGABYTE = 3600
OWN_PLACE = ("listen_addresses", "unix_socket_directories", "unix_socket_permissions")


class DefaultSettings(PostgresRecipe):
    """The same server with PostgreSQL's own defaults, but for where it is reached."""

    def command(self, programs: Path, home: Path) -> tuple[str, ...]:
        program, *options = super().command(programs, home)
        kept = [
            option
            for option in options
            if not option.startswith("--") or option[2:].partition("=")[0] in OWN_PLACE
        ]
        return (program, *kept)


def tool(name: str, target: Target, *arguments: str) -> None:
    programs = PostgresRecipe().bundled_programs()
    assert programs is not None
    subprocess.run(
        [programs / name, f"--dbname={make_conninfo(**target.params)}", *arguments],
        env=clean_env(),
        check=True,
    )


def make_dump(sandbox: ProcessSandbox, dump: Path, megabytes: int) -> int:
    """A table with its indexes, of about that size; bytes of the database."""
    with sandbox.start(PostgresRecipe(), Work()) as server:
        with psycopg.connect(make_conninfo(**server.target.params), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS reference,"
                " now() - i * interval '1 second' AS placed, i::bigint * 7919 % 100000 AS customer,"
                " repeat(md5((i * 3)::text), 2) AS note FROM"
                f" generate_series(1, {megabytes * ROWS_A_MEGABYTE}) i"
            )
            connection.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
            connection.execute("CREATE INDEX ON orders (reference)")
            connection.execute("CREATE INDEX ON orders (customer, placed)")
            size = connection.execute("SELECT pg_database_size('postgres')").fetchone()
        tool("pg_dump", server.target, "-Fc", "--compress=1", f"--file={dump}")
    assert size is not None
    return int(size[0])


def measure(sandbox: ProcessSandbox, recipe: PostgresRecipe, dump: Path) -> tuple[float, ...]:
    """Seconds to start, to restore, to stop."""
    begun = time.monotonic()
    with sandbox.start(recipe, Work()) as server:
        ready = time.monotonic()
        tool("pg_restore", server.target, str(dump))
        restored = time.monotonic()
    return ready - begun, restored - ready, time.monotonic() - restored


def main(megabytes: int = 200, rounds: int = 5) -> None:
    sandbox = ProcessSandbox()
    sandbox.isolation()  # probed once in the life of a process
    kinds = {"throw-away": PostgresRecipe(), "default": DefaultSettings()}
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as made:
        dump = Path(made) / "dump"
        size = make_dump(sandbox, dump, megabytes)
        for _ in range(rounds):
            for name, recipe in kinds.items():
                taken[name].append(measure(sandbox, recipe, dump))
    seconds = {
        name: dict(
            zip(
                ("start", "restore", "stop"),
                (round(statistics.median(column), 3) for column in zip(*rows, strict=True)),
                strict=True,
            )
        )
        for name, rows in taken.items()
    }
    ratio = seconds["throw-away"]["restore"] / seconds["default"]["restore"]
    print(
        json.dumps(
            {
                "database_bytes": size,
                "rounds": rounds,
                "seconds": seconds,
                "restore_throw_away_to_default": round(ratio, 3),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
