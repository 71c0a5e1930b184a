"""The images, built and run as hardened as they claim to run."""

from __future__ import annotations

import http.client
import json

import docker
import pytest

from hardening.rules import scan_live
from restoreproof.run_profile import RunProfile
from tests.harness.containers import assert_hardened, run_in, started, until_healthy
from tests.harness.engine import Engine, described
from tests.harness.images import SAMPLE
from tests.harness.locks import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

BRIDGED = RunProfile(network="bridge")


@pytest.mark.parametrize("user", ["1000:1000", "4711:0"])
def test_the_sample_application_runs_hardened(
    client: docker.DockerClient, sample: str, user: str
) -> None:
    profile = RunProfile(user=user, network="bridge")
    with started(client, sample, profile, environment={"COLOUR": "green"}) as container:
        until_healthy(container)
        assert_hardened(container, profile)
        code, said = run_in(container, "python3", "-I", "-c", "open('/app/x', 'a')")
        assert code == 1
        assert "Read-only file system" in said or "Permission denied" in said
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
        until_healthy(container)
        away = "import socket; socket.create_connection(('1.1.1.1', 53), 2)"
        code, said = run_in(container, "python3", "-I", "-c", away)
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


def test_the_same_input_gives_the_same_files(engine: Engine, base: str) -> None:
    args = ("--no-cache", "--build-arg", f"BASE={base}")

    def contents() -> dict[str, tuple[object, ...]]:
        return described(engine.archive(SAMPLE.read_text(), ROOT, *args))

    first = contents()
    assert first == contents()
    assert first["app/sample_app.py"][1:4] == (0o444, 1000, 1000)
