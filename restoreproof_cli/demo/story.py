"""The demo's story: real servers out of wheels, real data, one good backup and two bad ones."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
import valkey
from psycopg.conninfo import make_conninfo

from backup_lib.model import Rung, RungResult, SetVerification, Target
from backup_lib.sandboxes.base import RunningServer, Sandbox, ServerRecipe
from backup_lib.services.keys import make_key
from backup_lib.services.nightly import verify_sets
from backup_lib.services.run import BackupRun, run_backup
from backup_lib.services.site import Site
from backup_lib.work import Work
from restoreproof.errors import InternalError
from restoreproof.events import step
from restoreproof.verdict import Verdict
from restoreproof_cli.demo import flights, sessions
from restoreproof_cli.demo.damage import Forgery, flip_one_bit, publish_forged, with_right_crc

SET, STREAM = "nightly", "restoreproof:alerts"

ALTERED = Forgery(before=b"\tN14228\tEWR\tIAH\t227\t", after=b"\tN14228\tEWR\tIAH\t722\t")
"""The first flight of the year, 227 minutes in the air, becomes one of 722."""

ALTERED_SESSION = Forgery(
    before=sessions.ON_TIME.encode(),
    after=sessions.CANCELLED.encode(),
    store="sessions",
    role="data",
    mend=with_right_crc,
)
"""A flight that is on time becomes a delayed one."""

CONFIGURATION = """\
[set.nightly]
stores = ["flights", "sessions"]
destination = "disk"
rpo = "24h"

[store.flights]
kind = "postgres"
dsn = {{ file = "flights.dsn" }}
assertions = [
    "select count(*) > 300000 from flights",
    "select not exists (select from flights where carrier not in (select carrier from airlines))",
]

[store.sessions]
kind = "valkey"
url = {sessions_url}
assertions = ["EXISTS status:UA1545", "DBSIZE > 4000"]

[destination.disk]
kind = "local"
path = "backups"

[alert.board]
kind = "valkey"
url = {alerts_url}
"""


@dataclass(frozen=True, slots=True)
class Act:
    """One verification of the story, and the rungs that decided it."""

    title: str
    result: SetVerification
    expected: Verdict

    @property
    def decisive(self) -> tuple[RungResult, ...]:
        """Of each store the first rung that did not pass; else the content rungs of all."""
        stores = [store.rungs for store in self.result.stores]
        bad = [
            next((r for r in rungs if r.verdict is not Verdict.PASSED), None) for rungs in stores
        ]
        return tuple(rung for rung in bad if rung) or tuple(
            rung for rungs in stores for rung in rungs if rung.rung is Rung.CONTENT
        )

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one that the story is about."""
        return self.result.verdict is self.expected


@dataclass(frozen=True, slots=True)
class Told:
    """What a dashboard reads in the alert stream."""

    verdict: str
    rung: str
    reason: str
    recovered: bool


@dataclass(frozen=True, slots=True)
class Story:
    """The whole demo, as data.

    Attributes:
        folder: where configuration, keys and backups are.
        flights: rows of the largest table.
        sessions: keys of that kind.
        backup: what was published.
        acts: the verifications, in order.
        alerts: read back from the stream.
        seconds: wall time.
        kept: how servers and files are reached; empty where they are gone.
    """

    folder: Path
    flights: int
    sessions: int
    backup: BackupRun
    acts: tuple[Act, ...]
    alerts: tuple[Told, ...]
    seconds: float
    kept: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Passed when every act ended as it must: the good backup proven, the bad ones caught."""
        good = all(act.as_expected for act in self.acts)
        return Verdict.PASSED if good and self.alerts else Verdict.FAILED


class Stage:
    """The demo's servers; use as a context manager: they end with it."""

    def __init__(self, folder: Path, sandbox: Sandbox, work: Work) -> None:
        self.folder = folder
        self._sandbox = sandbox
        self._work = work
        self._servers = ExitStack()

    def __enter__(self) -> Self:
        from backup_lib.stores.postgres.server import PostgresRecipe
        from backup_lib.stores.valkey.server import ValkeyRecipe

        with self._servers:
            self.database = self._start(PostgresRecipe(), "Starting PostgreSQL").target
            self.cache = self._start(
                ValkeyRecipe(), "Starting Valkey, which holds sessions and caches"
            ).target
            self.board = self._start(
                ValkeyRecipe(), "Starting Valkey, which takes the alerts"
            ).target
            self._servers = self._servers.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._servers.close()

    def _start(self, recipe: ServerRecipe, title: str) -> RunningServer:
        with step(
            self._work.emit, recipe.kind, title, monotonic=self._work.clock.monotonic
        ) as starting:
            server = self._servers.enter_context(self._sandbox.start(recipe, self._work))
            starting.outcome = f"{server.facts.product} {server.facts.version}"
        return server

    def fill(self) -> tuple[int, int]:
        """Load flights and sessions; the number of rows of the largest table, and of sessions."""
        with step(
            self._work.emit,
            "fill",
            "Loading the flights of 2013",
            monotonic=self._work.clock.monotonic,
        ) as filling:
            with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
                connection.execute("create database flights")
            with psycopg.connect(self.dsn()) as connection:
                count = flights.load(connection)
            with valkey.Valkey(unix_socket_path=self._socket(self.cache)) as client:
                keys = sessions.load(client)
            filling.outcome = f"{count:,} flights, {keys:,} sessions"
        return count, keys

    @staticmethod
    def _socket(server: Target) -> str:
        return server.params["unix_socket_path"]

    def dsn(self, database: str = "flights") -> str:
        """How the demo's database is reached."""
        return make_conninfo(**{**_params(self.database), "dbname": database})

    def configure(self) -> Site:
        """Write ``restoreproof.toml`` and a signing key."""
        (self.folder / "backups").mkdir(mode=0o700)
        (self.folder / "flights.dsn").write_text(self.dsn() + "\n")
        (self.folder / "flights.dsn").chmod(0o600)
        (self.folder / "restoreproof.toml").write_text(
            CONFIGURATION.format(
                alerts_url=f'"unix://{self._socket(self.board)}"',
                sessions_url=f'"unix://{self._socket(self.cache)}"',
            )
        )
        site = Site.open(self.folder / "restoreproof.toml", clock=self._work.clock)
        make_key(site)
        return Site.open(self.folder / "restoreproof.toml", clock=self._work.clock)

    def alerts(self) -> tuple[Told, ...]:
        """The alert stream, as a dashboard would read it."""
        with valkey.Valkey(
            unix_socket_path=self._socket(self.board), decode_responses=True
        ) as client:
            entries: Any = client.xrange(STREAM)
        return tuple(
            Told(fields["verdict"], fields["rung"], fields["reason"], fields["recovered"] == "1")
            for _id, fields in entries
        )


def play(stage: Stage, work: Work) -> Story:
    """The story from the empty server to the recovery message."""
    begun = work.clock.monotonic()
    rows, keys = stage.fill()
    site = stage.configure()
    backup = run_backup(site, SET, work)
    acts = [_act("the backup as it was made", site, work, Verdict.PASSED)]

    plan = site.plan(SET)
    artifact = max(backup.manifest.stores[0].artifacts, key=lambda a: a.size)
    stored = stage.folder / "backups" / SET / backup.ref.set_id / artifact.name
    offset = flip_one_bit(stored)
    acts.append(_act(f"one bit flipped, at byte {offset:,}", site, work, Verdict.FAILED))
    flip_one_bit(stored)
    acts.append(_act("the bit flipped back", site, work, Verdict.PASSED))

    forged = publish_forged(site, backup.manifest, work, ALTERED, ALTERED_SESSION)
    title = "one row and one cached value altered, every checksum and the signature right"
    acts.append(_act(title, site, work, Verdict.FAILED))
    plan.destination.delete(forged)
    return Story(
        folder=stage.folder,
        flights=rows,
        sessions=keys,
        backup=backup,
        acts=tuple(acts),
        alerts=stage.alerts(),
        seconds=work.clock.monotonic() - begun,
    )


def _act(title: str, site: Site, work: Work, expected: Verdict) -> Act:
    with step(work.emit, title, f"Verifying {title}", monotonic=work.clock.monotonic) as verifying:
        (result,) = verify_sets(site, (SET,), work)
        act = Act(title, result, expected)
        verifying.outcome = f"{act.decisive[0].rung} {act.decisive[0].verdict}"
    return act


def _params(target: Target) -> dict[str, str]:
    if target.password is not None:
        raise InternalError("a sandbox of our own needs no password")
    return dict(target.params)
