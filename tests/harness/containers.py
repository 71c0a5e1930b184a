"""Containers of the end-to-end tests: started hardened, waited for, looked into, removed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restoreproof.run_profile import RunProfile

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@contextmanager
def started(
    client: docker.DockerClient, image: str, profile: RunProfile, *command: str, **more: object
) -> Iterator[Container]:
    """A container with the profile, removed at the end."""
    arguments: dict[str, Any] = profile.sdk_arguments() | more
    container = client.containers.run(image, list(command) or None, detach=True, **arguments)
    try:
        yield container
    finally:
        container.remove(force=True)


def run(
    client: docker.DockerClient,
    image: str,
    *command: str,
    profile: RunProfile = RunProfile(),  # noqa: B008  # frozen
    **more: object,
) -> tuple[int, str]:
    """Exit code and output of a container that runs hardened to its end."""
    with started(client, image, profile, *command, **more) as container:
        code = container.wait(timeout=120)["StatusCode"]
        return code, container.logs().decode()


def until_healthy(container: Container, seconds: float = 60) -> None:
    """Wait for the health check; fail the test with what it said where that takes too long."""
    deadline = time.monotonic() + seconds
    container.reload()
    while container.attrs["State"]["Health"]["Status"] != "healthy":
        assert container.status != "exited", container.logs().decode()
        assert time.monotonic() < deadline, container.attrs["State"]["Health"]
        time.sleep(0.3)
        container.reload()


def status(container: Container) -> dict[str, str]:
    """``/proc/PID/status`` of the container's first process, as the host sees it."""
    container.reload()
    lines = Path(f"/proc/{container.attrs['State']['Pid']}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def run_in(container: Container, *command: str) -> tuple[int, str]:
    """Exit code and output of a program in a running container."""
    code, output = container.exec_run(list(command))
    assert isinstance(code, int)
    assert isinstance(output, bytes)
    return code, output.decode()


def assert_hardened(container: Container, profile: RunProfile) -> None:
    """The kernel holds the first process to the profile; the root file system is not written."""
    facts = status(container)
    assert facts["Uid"].split() == [profile.user.partition(":")[0]] * 4
    assert {kind: int(facts[kind], 16) for kind in CAPABILITIES} == dict.fromkeys(CAPABILITIES, 0)
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    assert profile.shortfalls(container.attrs) == ()
    for path in ("/x", "/etc/passwd", "/usr/bin/x", "/var/log/x", "/root/x"):
        code, said = run_in(container, "python3", "-I", "-c", f"open({path!r}, 'a')")
        assert code == 1
        assert "Read-only file system" in said or "Permission denied" in said
    assert run_in(container, "python3", "-I", "-c", "open('/tmp/x', 'w')")[0] == 0
