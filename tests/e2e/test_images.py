"""The images, built and run as hardened as they claim to run."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from hardening.rules import scan_image, scan_live
from restoreproof.run_profile import RunProfile
from tests.harness.engine import Engine
from tests.harness.locks import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

BRIDGED = RunProfile(network="bridge")


@contextmanager
def started(
    client: docker.DockerClient, image: str, profile: RunProfile, **more: object
) -> Iterator[Container]:
    """A container with the profile, removed at the end."""
    arguments: dict[str, Any] = profile.sdk_arguments() | more
    container = client.containers.run(image, detach=True, **arguments)
    try:
        yield container
    finally:
        container.remove(force=True)


def until_healthy(container: Container) -> None:
    deadline = time.monotonic() + 60
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


def run_in(container: Container, script: str) -> tuple[int, str]:
    code, output = container.exec_run(["python3", "-I", "-c", script])
    assert isinstance(code, int)
    assert isinstance(output, bytes)
    return code, output.decode()


@pytest.mark.parametrize("user", ["1000:1000", "4711:0"])
def test_the_sample_application_runs_hardened(
    client: docker.DockerClient, sample: str, user: str
) -> None:
    profile = RunProfile(user=user, network="bridge")
    with started(client, sample, profile, environment={"COLOUR": "green"}) as container:
        container.reload()
        until_healthy(container)
        facts = status(container)
        assert facts["Uid"].split() == [user.partition(":")[0]] * 4
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(facts[kind], 16) == 0
        assert facts["NoNewPrivs"] == "1"
        assert facts["Seccomp"] == "2"
        assert profile.shortfalls(container.attrs) == ()
        for path in ("/app/x", "/x", "/etc/passwd", "/usr/bin/x", "/var/log/x", "/root/x"):
            code, said = run_in(container, f"open({path!r}, 'a')")
            assert code == 1
            assert "Read-only file system" in said or "Permission denied" in said
        assert run_in(container, "open('/tmp/x', 'w').write('x')")[0] == 0
        address = container.attrs["NetworkSettings"]["IPAddress"]
        connection = http.client.HTTPConnection(address, 8080, timeout=5)
        connection.request("GET", "/")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert answer["colour"] == "green"
        container.stop(timeout=10)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0
        logged = [json.loads(line)["event"] for line in container.logs().decode().splitlines()]
        assert logged[0] == "started"
        assert "request" in logged
        assert logged[-1] == "stopped"


def test_without_a_network_it_still_tells_its_health(
    client: docker.DockerClient, sample: str
) -> None:
    with started(client, sample, RunProfile()) as container:
        container.reload()
        until_healthy(container)
        code, said = run_in(
            container, "import socket; socket.create_connection(('1.1.1.1', 53), 2)"
        )
        assert code == 1
        assert "unreachable" in said


def test_live_rules_see_what_is_hardened_and_what_is_not(
    client: docker.DockerClient, engine: Engine, sample: str
) -> None:
    with started(client, sample, BRIDGED, name="hard") as hard:
        loose = client.containers.run(
            sample,
            name="loose",
            detach=True,
            user="0",
            cap_add=["SYS_ADMIN"],
            pid_mode="host",
            ports={"5432/tcp": None},
            volumes={"/etc": {"bind": "/host", "mode": "ro"}},
            environment={"DB_PASSWORD": "hunter2hunter2"},
        )
        try:
            scan = scan_live(address=engine.address)
        finally:
            loose.remove(force=True)
    assert set(scan.scanned) == {"hard", "loose"}
    found: dict[str, set[str]] = {"hard": set(), "loose": set()}
    for one in scan.findings:
        found[one.place.path].add(one.rule)
    assert found["hard"] == {"RP-L017"}
    assert found["loose"] == {
        *("RP-L001", "RP-L004", "RP-L005", "RP-L006", "RP-L008", "RP-L010", "RP-L011"),
        "RP-L007",  # with the host's processes the engine itself adds label=disable
        *("RP-L013", "RP-L014", "RP-L015", "RP-L016", "RP-L017", "RP-L021"),
    }
    assert hard.name == "hard"
    (missed,) = scan_live(["nowhere"], address=engine.address).not_scanned
    assert missed.name == "nowhere"


def planted(folder: Path) -> list[str]:
    """A copy of what git tracks, with secrets beside it as people have them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    secrets = [".env", "id_rsa", "examples/.env", "docker/secrets/ca.key", ".git/config"]
    for name in secrets:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("SECRET-THAT-MUST-NOT-LEAVE")
    return secrets


def test_no_sensitive_files_in_image(engine: Engine, base: str, tmp_path: Path) -> None:
    secrets = planted(tmp_path)
    text = (tmp_path / "docker" / "sample" / "Dockerfile").read_text()
    tag = "restoreproof-sample:planted"
    engine.build(text, tmp_path, tag, "--build-arg", f"BASE={base}")
    scan = scan_image(tag, address=engine.address)
    assert scan.scanned == (tag,)
    assert scan.findings == ()
    saved = engine.docker("save", tag).stdout
    assert b"SECRET-THAT-MUST-NOT-LEAVE" not in saved
    # and the check can fail: the same without the ignore file
    (tmp_path / ".dockerignore").unlink()
    careless = f"FROM {base}\nCOPY . /app\nRUN rm -rf /app/.env /app/id_rsa\n"
    engine.build(careless, tmp_path, "careless")
    leaked = {
        one.evidence
        for one in scan_image("careless", address=engine.address).findings
        if one.rule == "RP-I004"
    }
    assert {f"app/{name}" for name in secrets if not name.startswith(".git/")} <= leaked


def test_the_same_input_gives_the_same_files(engine: Engine, base: str) -> None:
    text = (ROOT / "docker" / "sample" / "Dockerfile").read_text()
    args = ("--no-cache", "--build-arg", f"BASE={base}")

    def contents() -> dict[str, tuple[object, ...]]:
        return {
            member.name: (
                *(member.type, member.mode, member.uid, member.gid, member.linkname),
                hashlib.sha256(content).hexdigest(),
            )
            for member, content in engine.archive(text, ROOT, *args)
        }

    first = contents()
    assert first == contents()
    assert first["app/sample_app.py"][1:4] == (0o444, 1000, 1000)
