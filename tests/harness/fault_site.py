"""A whole site in a short folder of its own, driven through the command line or the services."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from backup_lib.services.keys import make_key
from backup_lib.services.run import BackupRun, run_backup
from backup_lib.services.site import Site
from backup_lib.work import Work
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.process import procfs
from tests.harness.fault_rig import StoreRig
from tests.harness.fault_stores import RIGS

ROOT = Path(__file__).parents[2]

_CONFIGURATION = """\
state = "{state}"

[set.nightly]
stores = ["orders"]
destination = "disk"
rpo = "24h"
{set_options}

[set.weekly]
stores = ["orders"]
destination = "disk"

[store.orders]
kind = "{kind}"
{section}
{store_options}

[destination.disk]
kind = "local"
path = "{backups}"
reserve = 0
{destination_options}

[sandbox.box]
kind = "process"
folder = "boxes"
{sandbox_options}
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What ``--json`` printed."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class FaultSite:
    """A configured site over one store.

    Attributes:
        folder: of everything; short, and passable for the sandbox's user.
        rig: the store.
        backups: folder of the destination.
        environment: of the commands.
    """

    folder: Path
    rig: StoreRig
    backups: Path
    environment: Mapping[str, str]
    configured: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "restoreproof.toml"

    @property
    def state(self) -> Path:
        return self.folder / self.configured["state"]

    @property
    def tmp(self) -> Path:
        return self.folder / "tmp"

    def configure(self, **options: str) -> None:
        """Write the configuration anew, with some of its parts replaced."""
        self.configured.update(options)
        self.config.write_text(_CONFIGURATION.format(**self.configured))

    def site(self, clock: Clock = SYSTEM_CLOCK) -> Site:
        return Site.open(self.config, clock=clock)

    def work(self, **changes: Any) -> Work:  # noqa: ANN401  # whatever Work takes
        return replace(Work(scratch=self.tmp, jobs=2), **changes)

    def back_up(self, set_name: str = "nightly", **changes: Any) -> BackupRun:  # noqa: ANN401
        return run_backup(self.site(), set_name, self.work(**changes))

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "restoreproof_cli", *arguments]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command as the leader of a process group, as a shell does."""
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, **environment: str) -> Done:
        """Run a command to its end."""
        return finish(self.start(*arguments, **environment))


def finish(process: subprocess.Popen[str], *, seconds: float = 120) -> Done:
    """Wait for a command; one that does not end is killed, and the test fails."""
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"still running after {seconds} s:\n{out}\n{err}")
    return Done(process.returncode, out, err)


def interrupt(process: subprocess.Popen[str]) -> None:
    """What Ctrl-C in a terminal does: SIGINT to the whole foreground group."""
    os.killpg(process.pid, signal.SIGINT)


def eventually(holds: Callable[[], object], seconds: float = 30) -> bool:
    """Whether that comes true in time."""
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(held)


def descendant(of: int, name: str) -> int | None:
    """The id of a living descendant with that ``comm``."""
    for pid, _started in procfs.members_of(of):
        try:
            comm = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        if comm == name[:15]:
            return pid
    return None


def make_fault_site(rig: StoreRig, folder: Path) -> FaultSite:
    """A site in an existing, empty folder, with a signing key."""
    folder.chmod(0o711)
    backups = folder / "backups"
    backups.mkdir(mode=0o700)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o711)  # servers of our own pass through it, as through /tmp
    for name, content in rig.files.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "LC_ALL": "C.UTF-8",
        "RESTOREPROOF_CONFIG": str(folder / "restoreproof.toml"),
    }
    site = FaultSite(folder, rig, backups, environment)
    site.configure(
        state="state",
        kind=rig.kind,
        section=rig.section,
        backups=str(backups),
        set_options="",
        store_options="",
        destination_options="",
        sandbox_options="",
    )
    make_key(site.site())
    return site


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rpf-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=sorted(RIGS))
def fault_site(request: pytest.FixtureRequest, short_folder: Path) -> FaultSite:
    """A site for each kind of store, on the shared servers."""
    return make_fault_site(RIGS[request.param](request), short_folder)


def of_kinds(*kinds: str) -> pytest.MarkDecorator:
    """Only with stores of these kinds: what is tested is none of the store's, or only theirs."""
    return pytest.mark.parametrize("fault_site", kinds, indirect=True)
