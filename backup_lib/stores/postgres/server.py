"""How a disposable PostgreSQL server is started, and what one will offer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backup_lib.model import ServerFacts, Target
from backup_lib.sandboxes.process.staging import reachable, stage_beside
from backup_lib.stores.postgres import features, installation
from backup_lib.stores.postgres.programs import bundled
from restoreproof.confine import Confinement, confined

PORT = "5432"
SUPERUSER = "postgres"
_DEBIAN = Path("/usr/lib/postgresql")
_READY_TIMEOUT = "2"


def _anything(_facts: ServerFacts) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PostgresRecipe:
    """A PostgreSQL for throw-away use: nothing in it survives the machine, or is meant to.

    Attributes:
        will_do: judges whether a server with those facts can take the backup at hand.
    """

    will_do: Callable[[ServerFacts], bool] = _anything
    kind: str = "postgres"
    program_names: tuple[str, ...] = ("initdb", "postgres")
    stop_signal: int = signal.SIGQUIT
    """Immediate shutdown: no checkpoint, no waiting for clients; shared memory is given back."""

    def suffices(self, facts: ServerFacts) -> bool:
        return self.will_do(facts)

    def bundled_programs(self) -> Path | None:
        return bundled()

    def usual_programs(self) -> tuple[Path, ...]:
        versions = [folder for folder in _DEBIAN.glob("*/bin") if folder.parent.name.isdigit()]
        return tuple(sorted(versions, key=lambda folder: -int(folder.parent.name)))

    def installation(self, programs: Path) -> tuple[Path, ...]:
        return installation.trees(programs)

    def facts(self, programs: Path) -> ServerFacts:
        return installation.facts(programs)

    def prepare(self, programs: Path, home: Path) -> tuple[tuple[str, ...], ...]:
        major = features.major(installation.version(programs))
        return (
            (
                f"{programs}/initdb",
                f"--pgdata={_data(home)}",
                f"--username={SUPERUSER}",
                "--auth=trust",  # the socket lies in a folder that only its owner can enter
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
                "--no-instructions",
                *(["--no-data-checksums"] if major >= _CHECKSUMS_BY_DEFAULT else []),
                # one that writes down who logs in would change the copy whenever we look at it
                *(["--set=event_triggers=off"] if major >= _LOGIN_TRIGGERS_SINCE else []),
            ),
        )

    def command(self, programs: Path, home: Path) -> tuple[str, ...]:
        settings = {**_THROW_AWAY, "unix_socket_directories": os.fspath(home)}
        return (
            f"{programs}/postgres",
            f"-D{_data(home)}",
            f"-p{PORT}",
            *(f"--{name}={value}" for name, value in settings.items()),
        )

    def target(self, home: Path) -> Target:
        return Target(
            kind=self.kind,
            params={
                "host": os.fspath(home),
                "port": PORT,
                "user": SUPERUSER,
                "dbname": "postgres",
            },
            disposable=True,
        )

    def is_ready(self, target: Target) -> bool:
        import psycopg
        from psycopg.conninfo import make_conninfo

        params = {**target.params, "connect_timeout": _READY_TIMEOUT}
        try:
            with psycopg.connect(make_conninfo(**params)) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def damage_in(self, log: str) -> str:  # noqa: ARG002  it never ends over what it is given
        return ""


def confined_client(
    argv: Sequence[str], target: Target, *read: Path, skip: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The arguments that run a client of a disposable server shut in with it.

    It runs as the server's user, sees its own programs, the server's socket, and ``read``; it has
    no network and can start no other program. Its standard streams are ours.

    Args:
        argv: the client by its whole path (``psql``, ``pg_restore``), and its arguments.
        target: of a sandbox, reached by its socket.
        read: files it needs; better is to hand them over as its standard input.
        skip: layers of confinement left out, for tests of the others.
    """
    home = Path(target.params["host"])
    programs = Path(argv[0]).parent
    trees = installation.trees(programs)
    user: tuple[int, int] | None = None
    if os.geteuid() == 0:
        about = home.stat()
        user = (about.st_uid, about.st_gid)
        if not reachable(trees):
            programs, trees = stage_beside(home, programs, trees)
    confinement = Confinement(
        folder=home, read=read, execute=trees, write=(home,), user=user, skip=skip
    )
    return confined((os.fspath(programs / Path(argv[0]).name), *argv[1:]), confinement)


_CHECKSUMS_BY_DEFAULT = 18
_LOGIN_TRIGGERS_SINCE = 17

_THROW_AWAY = {
    # reachable by its socket only, for its owner only
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # nothing has to survive
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_init_zero": "off",
    "checkpoint_timeout": "1d",
    # few segments that are written again and again: the system need not write them to the disk
    "max_wal_size": "64MB",
    "checkpoint_warning": "0",
    "autovacuum": "off",
    "restart_after_crash": "off",  # a crash is to be seen, not to be hidden by a second start
    # many tables in one transaction; parallel restore and fingerprints
    "max_connections": "50",
    "max_locks_per_transaction": "1024",
    "jit": "off",
    # whatever the size of the data: more made no restore faster, and cost 7 % in page faults
    "shared_buffers": "128MB",
    "maintenance_work_mem": "32MB",
    "max_parallel_maintenance_workers": "0",  # several indexes are built at once as it is
    # memory that goes when the process or its folder goes
    "shared_memory_type": "mmap",
    "dynamic_shared_memory_type": "mmap",
    "huge_pages": "off",
    # the log holds no data: no statement, no detail, no context
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "lc_messages": "C",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def _data(home: Path) -> Path:
    return home / "data"
