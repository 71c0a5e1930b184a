"""A sandbox whose owner is killed leaves nothing: not at once, or not after the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from restoreproof.confine import NAMESPACES
from tests.harness.ordinary_user import ROOT, OrdinaryUser
from tests.harness.sandboxes import processes_in, remains_of

PROGRAM = """
import sys, time
from pathlib import Path
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.postgres.server import PostgresRecipe
from backup_lib.work import Work

folder, phase, *skip = sys.argv[1:]

class Slow(PostgresRecipe):
    def is_ready(self, target):
        return super().is_ready(target) and phase != "starting"

sandbox = ProcessSandbox(folder=Path(folder), skip=tuple(skip))
with sandbox.start(Slow(), Work()) as server:
    print("ready", server.target.params["host"], flush=True)
    if phase != "stop":
        time.sleep(120)
"""

PHASES = ("initdb", "starting", "running")


def shared_memory() -> set[str]:
    """Segments, by id and maker."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {f"{line.split()[1]} of {line.split()[4]}" for line in lines}


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def reached(folder: Path, phase: str) -> bool:
    """Whether a server below the folder is in that phase."""
    wanted = {
        "initdb": "*/home/data/base",
        "starting": "*/home/.s.PGSQL.5432",
        "running": "*/home/.s.PGSQL.5432",
    }
    return any(folder.glob(wanted[phase]))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rp-", dir="/tmp", ignore_cleanup_errors=True) as made:
        path = Path(made)
        path.chmod(0o755)
        yield path


def as_ourselves(folder: Path, phase: str, skip: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, folder, phase, *skip],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def kill_in(owner: subprocess.Popen[bytes], folder: Path, phase: str) -> None:
    """Kill the owner once its server has got so far."""
    with owner:
        try:
            assert eventually(lambda: reached(folder, phase) or owner.poll() is not None)
            if phase == "running":
                assert owner.stdout is not None
                assert owner.stdout.readline().startswith(b"ready")
            assert owner.poll() is None, owner.stderr and owner.stderr.read()
        finally:
            owner.kill()


def check_nothing_remains(
    folder: Path, before: set[str], next_start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    # The supervisor notices by itself that the owner is gone; the folder waits for the next start.
    assert eventually(lambda: processes_in(folder) == [])
    following = next_start()
    output, errors = following.communicate(timeout=90)
    assert output.startswith(b"ready"), errors.decode()
    assert remains_of(folder) == []
    makers = {int(line.split()[4]): line for line in _segments()}
    dead = {pid for pid in makers if not Path(f"/proc/{pid}").exists()}
    assert not {line for line in shared_memory() - before if int(line.split()[2]) in dead}


def _segments() -> list[str]:
    return Path("/proc/sysvipc/shm").read_text().splitlines()[1:]


@pytest.mark.parametrize("skip", [(), NAMESPACES], ids=["all layers", "no namespaces"])
@pytest.mark.parametrize("phase", PHASES)
def test_killed_with_its_server(folder: Path, phase: str, skip: tuple[str, ...]) -> None:
    before = shared_memory()
    kill_in(as_ourselves(folder, phase, skip), folder, phase)
    check_nothing_remains(folder, before, lambda: as_ourselves(folder, "stop", skip))


@pytest.mark.parametrize(
    ("phase", "skip"),
    [("running", ()), *((phase, NAMESPACES) for phase in PHASES)],
    ids=["running-all layers", *(f"{phase}-no namespaces" for phase in PHASES)],
)
def test_killed_with_its_server_as_an_ordinary_user(
    folder: Path, ordinary_user: OrdinaryUser, phase: str, skip: tuple[str, ...]
) -> None:
    ordinary_user.own(folder)
    before = shared_memory()

    def started(phase: str) -> subprocess.Popen[bytes]:
        return ordinary_user.python(PROGRAM, str(folder), phase, *skip)

    kill_in(started(phase), folder, phase)
    check_nothing_remains(folder, before, lambda: started("stop"))


def test_the_slot_of_a_living_owner_is_left_alone(folder: Path) -> None:
    with as_ourselves(folder, "running", ()) as living:
        try:
            assert living.stdout is not None
            home = Path(os.fsdecode(living.stdout.readline().split()[1]))
            with as_ourselves(folder, "stop", ()) as other:
                output, errors = other.communicate(timeout=90)
            assert output.startswith(b"ready"), errors.decode()
            assert os.fsencode(home) not in output
            assert (home / "data" / "PG_VERSION").exists()
            assert processes_in(home) != []
        finally:
            living.send_signal(signal.SIGINT)
            living.communicate(timeout=30)
    assert remains_of(folder) == []
