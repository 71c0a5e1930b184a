"""What hardening breaks, and the answers of docs/HARDENING-RULES.md: both in a real container."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from restoreproof.run_profile import RunProfile
from tests.harness.containers import run
from tests.harness.engine import Engine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PROFILE = RunProfile()


@pytest.fixture
def volume(client: docker.DockerClient) -> Iterator[str]:
    made = client.volumes.create()
    yield made.name
    made.remove(force=True)


def test_something_needs_root(client: docker.DockerClient, base: str, volume: str) -> None:
    data = {volume: {"bind": "/data", "mode": "rw"}}
    write = ("sh", "-c", "echo x >/data/x && cat /data/x")
    code, said = run(client, base, *write, volumes=data)
    assert code != 0
    assert "Permission denied" in said
    owner = RunProfile(user="0:0", cap_add=("CHOWN",))
    code, said = run(client, base, "chown", "1000:1000", "/data", profile=owner, volumes=data)
    assert (code, said) == (0, "")
    assert run(client, base, *write, volumes=data) == (0, "x\n")
    # one capability, not root's powers: it may not write where it is not the owner
    code, said = run(client, base, "sh", "-c", "echo y >/data/x", profile=owner, volumes=data)
    assert code != 0


def test_a_read_only_root_breaks_log_writing(
    client: docker.DockerClient, engine: Engine, base: str, tmp_path: Path
) -> None:
    write = ("sh", "-c", "echo told >>/var/log/app/app.log && cat /var/log/app/app.log")
    folder = f"FROM {base}\nRUN mkdir -p /var/log/app && chown 1000:1000 /var/log/app\n"
    engine.build(folder, tmp_path, "logs-file")
    code, said = run(client, "logs-file", *write)
    assert code != 0
    assert "Read-only file system" in said
    small = "rw,noexec,nosuid,nodev,size=1m,uid=1000,gid=1000,mode=0750"
    assert run(client, "logs-file", *write, tmpfs={"/var/log/app": small}) == (0, "told\n")
    linked = f"{folder}RUN ln -s /dev/stdout /var/log/app/app.log\n"
    engine.build(linked, tmp_path, "logs-link")
    told = ("sh", "-c", "echo told >>/var/log/app/app.log")
    assert run(client, "logs-link", *told) == (0, "told\n")


BIND = "import socket; socket.create_server(('0.0.0.0', {port})); print('bound')"
PING = (
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)"
    ".sendto(b'\\x08\\0\\xf7\\xff' + bytes(4), ('127.0.0.1', 0)); print('sent')"
)
# Docker from 20.10 opens both to everybody; other runtimes do not
PLAIN = {"net.ipv4.ip_unprivileged_port_start": "1024", "net.ipv4.ping_group_range": "1 0"}


def python(
    client: docker.DockerClient,
    base: str,
    script: str,
    profile: RunProfile = PROFILE,
    **more: object,
) -> tuple[int, str]:
    return run(client, base, "python3", "-I", "-c", script, profile=profile, **more)


def test_dropped_capabilities_break_a_low_port(client: docker.DockerClient, base: str) -> None:
    low, high = BIND.format(port=80), BIND.format(port=8080)
    code, said = python(client, base, low, sysctls=PLAIN)
    assert code != 0
    assert "Permission denied" in said
    assert python(client, base, high, sysctls=PLAIN) == (0, "bound\n")
    opened = PLAIN | {"net.ipv4.ip_unprivileged_port_start": "0"}
    assert python(client, base, low, sysctls=opened) == (0, "bound\n")
    # the capability alone does not reach a process that is not root
    added = RunProfile(cap_add=("NET_BIND_SERVICE",))
    assert python(client, base, low, sysctls=PLAIN, profile=added)[0] != 0


def test_dropped_capabilities_break_ping(client: docker.DockerClient, base: str) -> None:
    code, said = python(client, base, PING, sysctls=PLAIN)
    assert code != 0
    assert "Permission denied" in said
    opened = PLAIN | {"net.ipv4.ping_group_range": "0 2147483647"}
    assert python(client, base, PING, sysctls=opened) == (0, "sent\n")
