"""A Docker engine of the tests' own, and a base image that comes from no registry."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from docker import DockerClient

BASE = "restoreproof-e2e-base:latest"
DEBIAN = "trixie"
_PACKAGES = "python3,python3-venv,ca-certificates"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "restoreproof"
_NEEDED = "needs root and Debian's docker.io, iptables and mmdebstrap"


_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Engine:
    """A running engine.

    Attributes:
        address: of its socket.
        program: the client that fits it.
        config: the client's folder; empty, so that nobody's settings or credentials count.
    """

    address: str
    program: str
    config: Path

    def docker(
        self,
        *args: str,
        stdin: bytes = b"",
        seconds: float = 600,
        variables: Mapping[str, str] = _NONE,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the client; its exit code is the caller's business."""
        env = {
            **variables,
            "PATH": os.environ["PATH"],
            "HOME": str(self.config),
            "DOCKER_CONFIG": str(self.config),
            "DOCKER_HOST": self.address,
            "DOCKER_BUILDKIT": "1",
        }
        return subprocess.run(
            [self.program, *args],
            input=stdin,
            env=env,
            check=False,
            capture_output=True,
            timeout=seconds,
        )

    def must(self, *args: str) -> str:
        """Run the client, and fail the test with its words where that fails."""
        done = self.docker(*args)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]
        return done.stdout.decode()

    def build(self, dockerfile: str, context: Path, tag: str, *options: str) -> None:
        """Build an image, and fail the test with the builder's words where that fails."""
        args = ("build", "--progress=plain", "-t", tag, "-f", "-", *options, str(context))
        done = self.docker(*args, stdin=dockerfile.encode())
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]

    def files(self, dockerfile: str, context: Path, *options: str) -> dict[str, tarfile.TarInfo]:
        """What a build puts into the file system, by path; the builder sends it unpacked."""
        return {
            member.name.strip("/"): member
            for member, _ in self.archive(dockerfile, context, *options)
        }

    def archive(
        self, dockerfile: str, context: Path, *options: str
    ) -> list[tuple[tarfile.TarInfo, bytes]]:
        """The same with contents.

        Raises:
            AssertionError: the builder refused; its words are the message.
        """
        args = (
            "build",
            "--progress=plain",
            "-o",
            "type=tar,dest=-",
            "-f",
            "-",
            *options,
            str(context),
        )
        done = self.docker(*args, stdin=dockerfile.encode())
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            found = []
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                found.append((member, file.read() if file else b""))
            return found


def described(archive: Iterable[tuple[tarfile.TarInfo, bytes]]) -> dict[str, tuple[object, ...]]:
    """By path: type, mode, owner, group, link target and digest; times are left out."""
    return {
        member.name: (
            *(member.type, member.mode, member.uid, member.gid, member.linkname),
            hashlib.sha256(content).hexdigest(),
        )
        for member, content in archive
    }


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine with its own data; it and its containers are gone afterwards.

    ``RESTOREPROOF_E2E_ENGINE`` names one that runs already, for work on one test; it is kept.
    """
    given = os.environ.get("RESTOREPROOF_E2E_ENGINE")
    if given:
        with tempfile.TemporaryDirectory() as settings:
            yield Engine(given, _client(), Path(settings))
        return
    daemon = shutil.which("dockerd")
    if daemon is None or shutil.which("iptables") is None or os.geteuid() != 0:
        pytest.skip(_NEEDED)
    # not below the folder for temporary files: an overlay on an overlay does not mount
    home = Path(tempfile.mkdtemp(prefix="restoreproof-e2e-", dir="/var/lib"))
    address = f"unix://{home}/docker.sock"
    command = [
        *(daemon, "--host", address, "--storage-driver", "overlay2"),
        *("--data-root", str(home / "data"), "--exec-root", str(home / "exec")),
        *("--pidfile", str(home / "pid")),
    ]
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as up:
        try:
            (home / "client").mkdir()
            running = Engine(address, _client(), home / "client")
            _wait(running, up, home / "log")
            yield running
            with connected(address) as client:
                for container in client.containers.list(all=True):
                    container.remove(force=True)
        finally:
            up.terminate()
            up.wait(60)
    for mount in sorted(_mounts_below(home), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """A Debian with Python, made by mmdebstrap once and kept."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip(_NEEDED)
    kept = CACHE / f"e2e-base-{DEBIAN}.tar"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".part.tar")
        command = [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={_PACKAGES}",
            DEBIAN,
            str(unfinished),
        ]
        made = subprocess.run(command, check=False, capture_output=True, timeout=900)
        if made.returncode:
            said = made.stderr.decode(errors="replace").strip().splitlines()[-1:]
            pytest.skip(f"not judged: no base image can be made here: {''.join(said)}")
        unfinished.rename(kept)
    done = engine.docker("import", str(kept), BASE)
    assert done.returncode == 0, done.stderr
    tried = engine.docker("run", "--rm", "--network=none", BASE, "true", seconds=60)
    # some hosts let an engine start and forbid it containers: nothing here can be judged then
    if tried.returncode:
        pytest.skip(f"not judged: no container runs here: {tried.stderr.decode(errors='replace')}")
    return BASE


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[DockerClient]:
    """The SDK's client for it."""
    with connected(engine.address) as found:
        yield found


@contextmanager
def connected(address: str) -> Iterator[DockerClient]:
    """A client of the SDK, closed at the end."""
    import docker

    client = docker.DockerClient(base_url=address, timeout=120)
    try:
        yield client
    finally:
        client.close()


def _client() -> str:
    """Debian's, which fits Debian's engine, whatever other is installed."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


def _wait(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while engine.docker("version", seconds=10).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").splitlines()
            pytest.skip(
                f"not judged: no engine starts here: {said[-1] if said else 'it says nothing'}"
            )
        time.sleep(0.2)


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split(" ")[1] for line in lines if line.split(" ")[1].startswith(f"{folder}/")]
