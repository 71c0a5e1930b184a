"""For every kind of sandbox, how tests make one; and what must not be left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backup_lib.sandboxes.base import RunningServer, Sandbox, ServerRecipe
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.sandboxes.process.users import SLOTS, processes, users_of
from backup_lib.stores.postgres.server import PostgresRecipe
from backup_lib.stores.valkey.server import ValkeyRecipe
from restoreproof.confine import NAMESPACES

OPEN = (*NAMESPACES, "landlock")
"""Every layer that can be left out."""

RECIPES: Mapping[str, Callable[[], ServerRecipe]] = {
    "postgres": PostgresRecipe,
    "valkey": ValkeyRecipe,
}
"""By the kind of store."""


@dataclass(frozen=True)
class Rig:
    """Sandboxes of one kind whose servers lie in ``folder``.

    Attributes:
        make: a sandbox; keyword arguments are those of its class.
        folder: empty again when a test is over.
        remains: what is left of its servers, readable; nothing once they are stopped.
        server_processes: ids of all processes of one server, launchers included.
    """

    kind: str
    make: Callable[..., Sandbox]
    folder: Path
    remains: Callable[[], list[str]]
    server_processes: Callable[[RunningServer], list[int]]


def processes_in(folder: Path) -> list[int]:
    """Processes that were told of the folder, or work in it."""
    mark = os.fsencode(folder)
    found = []
    for process in processes():
        try:
            command = (process / "cmdline").read_bytes()
            working = (process / "cwd").readlink()
        except OSError:
            continue
        if int(process.name) != os.getpid() and (mark in command or working.is_relative_to(folder)):
            found.append(int(process.name))
    return found


def remains_of(folder: Path) -> list[str]:
    """Folders below it, and processes that know of it."""
    return [
        *(f"folder {path}" for path in (folder.iterdir() if folder.exists() else ())),
        *(f"process {pid}" for pid in processes_in(folder)),
    ]


def sandbox_users_with_shared_memory() -> set[int]:
    """Sandbox users that own System V segments outside of any namespace of theirs."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {int(line.split()[7]) for line in lines} & set(SLOTS)


def sandbox_users_at_work() -> set[int]:
    """Sandbox users that run something."""
    return {uid for process in processes() for uid in users_of(process)} & set(SLOTS)


@pytest.fixture
def sandbox_folder() -> Iterator[Path]:
    """A folder with a short path, for a socket's path has to fit, which must end empty."""
    folder = Path(tempfile.mkdtemp(prefix="rp-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
        assert remains_of(folder) == []
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(folder: Path) -> Iterator[Rig]:
    def make(**options: object) -> Sandbox:
        given: dict[str, object] = {"folder": folder, "start_timeout": 60.0, **options}
        return ProcessSandbox(**given)  # type: ignore[arg-type]  # the class names them

    yield Rig(
        kind="process",
        make=make,
        folder=folder,
        remains=lambda: remains_of(folder),
        server_processes=lambda server: processes_in(home_of(server)),
    )


def home_of(server: RunningServer) -> Path:
    """The folder of a server's own, which holds its socket."""
    params = server.target.params
    return Path(params["unix_socket_path"]).parent if "host" not in params else Path(params["host"])


RIGS = {"process": _process}
