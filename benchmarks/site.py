"""What is measured: a server with default settings, a database on it, a configured site."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from psycopg.conninfo import make_conninfo

from benchmarks.data import fill
from benchmarks.measure import Sample, command
from restoreproof.process import clean_env
from tests.harness.postgres import PostgresServer, bundled_programs

DATABASE = "bench"
RESTORED = "restored"
PLAIN, PROVEN = "plain", "proven"
"""Sets of one store each: without fingerprint, and with."""

_CONFIGURATION = f"""\
[set.{PLAIN}]
stores = ["without"]
destination = "disk"
rpo = "24h"

[set.{PROVEN}]
stores = ["with"]
destination = "disk"
rpo = "24h"

[store.without]
kind = "postgres"
dsn = {{{{ file = "dsn" }}}}
fingerprint = false

[store.with]
kind = "postgres"
dsn = {{{{ file = "dsn" }}}}

[destination.disk]
kind = "local"
path = "backups"
"""


@dataclass(frozen=True)
class Site:
    """A folder with everything in it; gone when the benchmark is over.

    Attributes:
        folder: on the disk that is measured.
        server: the source, and what the baseline restores into.
        size: bytes of table data.
    """

    folder: Path
    server: PostgresServer
    size: int

    @property
    def dsn(self) -> str:
        return make_conninfo(**self.server.params(DATABASE))

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """Scratch files are on the same disk."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return {**clean_env(), "TMPDIR": str(scratch)}

    def program(self, name: str) -> str:
        return str(self.server.programs / name)

    def restoreproof(self, *arguments: str, closely: bool = False) -> Sample:
        """Run a task of the product, and measure it with the server; see :func:`command`."""
        config = str(self.folder / "restoreproof.toml")
        return command(
            [sys.executable, "-m", "restoreproof_cli.main", *arguments]
            + (["--quiet", "--config", config] if arguments[0].startswith("backup.") else []),
            servers=[self.server.pid],
            env=self.environment,
            closely=closely,
        )

    def shell(self, script: str, *arguments: str, **environment: str) -> Sample:
        """Run a shell's pipeline, and measure it with the server."""
        return command(
            ["bash", "-c", f"set -euo pipefail; {script}", "bash", *arguments],
            servers=[self.server.pid],
            env={**self.environment, **environment},
        )

    def forget(self, name: str) -> None:
        """Remove all backups of a set."""
        if self.has(name):
            shutil.rmtree(self.folder / "backups" / name)

    def has(self, name: str) -> bool:
        """Whether a set was backed up."""
        return (self.folder / "backups" / name).exists()

    @property
    def described(self) -> str:
        """The data, for people."""
        return f"{self.size / 2**20:,.0f} MiB of table data"

    @property
    def dumped(self) -> Path:
        """Where :meth:`dump` writes to."""
        return self.folder / "database.dump.zst"

    def dump(self) -> Sample:
        """What a user would type: the same dump, compressed at the same level, synced."""
        return self.shell(
            '"$1" -Fc --compress=none --dbname="$2" | zstd -q -f -T0 -3 > "$3"; sync "$3"',
            self.program("pg_dump"),
            self.dsn,
            str(self.dumped),
        )

    def restore(self) -> Sample:
        """What a user would type to restore that dump into the running server."""
        return self.shell(
            '"$1" --maintenance-db="$3" "$4"; zstd -q -d < "$5" | "$2" --dbname="$3 dbname=$4"',
            self.program("createdb"),
            self.program("pg_restore"),
            make_conninfo(**self.server.params()),
            RESTORED,
            str(self.dumped),
        )

    def settle(self) -> None:
        """Let nothing of an earlier run be written during the next one."""
        with self.server.connect() as connection:
            connection.execute("CHECKPOINT")
        os.sync()


@contextmanager
def site(megabytes: int, *, folder: Path | None = None) -> Iterator[Site]:
    """A server with a filled database; stopped and removed at the end.

    Args:
        megabytes: MiB of table data.
        folder: where to put everything; a new folder below it is used.
    """
    # a short path: the address of a Unix socket has room for 107 bytes
    home = Path(tempfile.mkdtemp(prefix="bench-", dir=folder or "/tmp"))
    home.chmod(0o755)
    (home / "pg").mkdir()
    try:
        server = PostgresServer(home / "pg", bundled_programs(), {}, base={})
        try:
            server.create_database(DATABASE)
            with server.connect(DATABASE) as connection:
                size = fill(connection, megabytes << 20)
            yield _configured(home, server, size)
        finally:
            server.stop()
    finally:
        shutil.rmtree(home)


def _configured(folder: Path, server: PostgresServer, size: int) -> Site:
    found = Site(folder, server, size)
    (folder / "restoreproof.toml").write_text(_CONFIGURATION.format())
    (folder / "dsn").write_text(found.dsn)
    (folder / "dsn").chmod(0o600)
    (folder / "backups").mkdir(mode=0o700)
    found.restoreproof("backup.keys", "--make")
    return found
