"""The stack of docker/compose.yaml, started: hardened, healthy, by TLS, stores off the front."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from typing import Any

import docker
import pytest
import yaml

from restoreproof.run_profile import RunProfile
from tests.harness.containers import run
from tests.harness.stack import NAME, STARTED, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

EVERY = (*STARTED, "toolbox")


IN_TOOLBOX = (
    *("run", "--rm", "--no-deps", "-T", "--entrypoint", "python3", "toolbox", "-I", "-c"),
)

POSTGRES = """\
import psycopg
word = open("/run/secrets/postgres_password").read()
server = {"host": "postgres", "user": "orders", "password": word}
authority = "/run/secrets/ca.crt"
"""

FILL = f"""\
{POSTGRES}
import valkey
with psycopg.connect(**server, sslmode="verify-full", sslrootcert=authority) as it:
    it.execute("create table orders as select n, md5(n::text) from generate_series(1, 500) n")
    it.execute("select lo_from_bytea(0, decode('00ff', 'hex')) from generate_series(1, 50)")
word = open("/run/secrets/valkey_password").read()
by_tls = {{"ssl": True, "ssl_ca_certs": authority}}
sessions = valkey.Valkey("valkey", username="orders", password=word, **by_tls)
sessions.mset({{f"session {{n}}": n for n in range(500)}})
"""


@pytest.fixture(scope="module")
def up(stack: Stack) -> Iterator[Stack]:
    """The stack started, with one backup that its toolbox proves."""
    stack.must("up", "-d", "--wait", "--wait-timeout", "200", *STARTED)
    stack.must(*IN_TOOLBOX, FILL)
    once = ("run", "--rm", "--no-deps", "-T", "-e", "EVERY=0", "toolbox")
    stack.must(*once, "backup.keys", "--make")
    stack.must(*once, "backup.run")
    stack.must("up", "-d", "--no-deps", "toolbox")
    yield stack
    stack.must("down", "--volumes", "--timeout", "5")


def services(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((stack.folder / "compose.yaml").read_text())["services"]
    return found


def test_compose_reads_the_file(stack: Stack) -> None:
    done = stack.compose("config", "--format", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    read = json.loads(done.stdout)["services"]
    assert read.keys() == services(stack).keys()
    assert all(service["cap_drop"] == ["ALL"] for service in read.values())


def test_haproxy_reads_its_configuration(up: Stack) -> None:
    check = ("haproxy", "-c", "-f", "/usr/local/etc/haproxy/haproxy.cfg")
    assert "Warnings were found" not in up.must("exec", "-T", "haproxy", *check)


def test_every_service_is_healthy_and_hardened(up: Stack) -> None:
    for service in EVERY:
        up.assert_healthy_and_hardened(service)


def test_the_toolbox_proves_the_stores_every_night(up: Stack) -> None:
    deadline = time.monotonic() + 120
    ended = ("test", "-e", "/tmp/nightly.last")  # the container's
    while up.compose("exec", "-T", "toolbox", *ended).returncode != 0:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    said = up.engine.docker("logs", up.container("toolbox")).stdout.decode()
    assert up.compose("exec", "-T", "toolbox", "nightly", "--check").returncode == 0, said
    (proven,) = json.loads(said)["result"]
    assert {one["store"]: one["verdict"] for one in proven["stores"]} == {
        "orders": "passed",
        "sessions": "passed",
    }


def reached(
    up: Stack, client: docker.DockerClient, network: str, *targets: tuple[str, int]
) -> list[bool]:
    """Which hosts and ports a container on a network can connect to."""
    script = f"""
import socket
for target in {targets!r}:
    try:
        socket.create_connection(target, 2).close()
        print(True)
    except OSError:
        print(False)
"""
    profile = RunProfile(network=f"{NAME}_{network}")
    image = up.variables["APP_IMAGE"]
    code, said = run(client, image, "-I", "-c", script, profile=profile, entrypoint="python3")
    assert code == 0, said
    return [line == "True" for line in said.split()]


def address(up: Stack, service: str, network: str) -> str:
    networks = up.inspect(service)["NetworkSettings"]["Networks"]
    return str(networks[f"{NAME}_{network}"]["IPAddress"])


def test_stores_cannot_be_reached_from_the_front(up: Stack, client: docker.DockerClient) -> None:
    ports = {"postgres": 5432, "valkey": 6379}
    named = tuple(ports.items())
    numbered = tuple((address(up, service, "stores"), port) for service, port in named)
    assert reached(up, client, "stores", *named, *numbered) == [True] * 4
    for network in ("front", "app", "metrics"):
        assert reached(up, client, network, *named, *numbered) == [False] * 4
    assert all(up.engine.docker("port", up.container(one)).stdout == b"" for one in ports)
    # nor do the stores reach what is in front
    front = (address(up, "haproxy", "front"), 8443)
    assert reached(up, client, "front", front) == [True]
    assert reached(up, client, "stores", front) == [False]


def test_the_application_answers_through_tls_and_its_logs_arrive(up: Stack) -> None:
    port = int(up.must("port", "haproxy", "8443").rpartition(":")[2])
    trusted = ssl.create_default_context(cafile=str(up.folder / "secrets" / "ca.crt"))
    connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=trusted)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["colour"]) == (200, "blue")
    assert answer.headers["Strict-Transport-Security"]
    connection.close()
    plain = http.client.HTTPConnection("localhost", port, timeout=10)
    plain.request("GET", "/")
    with pytest.raises((http.client.HTTPException, OSError)):
        plain.getresponse()
    plain.close()
    assert '"event": "request"' in up.must("logs", "app-blue")


def test_nobody_comes_to_the_stores_without_tls(up: Stack) -> None:
    script = (
        f"{POSTGRES}"
        "with psycopg.connect(**server, sslmode=MODE, sslrootcert=authority) as it:"
        " print(it.execute('select ssl from pg_stat_ssl where pid = pg_backend_pid()').fetchone())"
    )
    assert up.must(*IN_TOOLBOX, script.replace("MODE", "'verify-full'")).strip() == "(True,)"
    refused = up.compose(*IN_TOOLBOX, script.replace("MODE", "'disable'"))
    assert refused.returncode != 0
    assert b"no encryption" in refused.stderr
    plain = "import valkey; valkey.Valkey('valkey', socket_timeout=3).ping()"
    assert up.compose(*IN_TOOLBOX, plain).returncode != 0


def test_prometheus_reaches_what_it_scrapes(up: Stack) -> None:
    ask = ("exec", "-T", "prometheus", "promtool", "query", "instant", "-o", "json")
    deadline = time.monotonic() + 60
    while True:
        found = json.loads(up.must(*ask, "http://127.0.0.1:9090", "up"))
        values = {one["metric"]["instance"]: one["value"][1] for one in found}
        if values == {"app-blue:8080": "1", "app-green:8080": "1", "haproxy:8404": "1"}:
            break
        assert time.monotonic() < deadline, values
        time.sleep(1)


def test_the_check_of_qdrant_means_ready(up: Stack, client: docker.DockerClient) -> None:
    """Its own command, against the application in its place: both answer ``/readyz`` by TLS."""
    kind, command = services(up)["qdrant"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    image = up.variables["APP_IMAGE"]
    secrets = {str(up.folder / "secrets"): {"bind": "/run/secrets", "mode": "ro"}}
    tls = {"TLS_CERT_FILE": "/run/secrets/app.crt", "TLS_KEY_FILE": "/run/secrets/app.key"}
    application = "PORT=6333 python3 -I /app/sample_app.py --drain 20 >/dev/null & "
    listens = "(exec 3<>/dev/tcp/127.0.0.1/6333) 2>/dev/null"
    wait = f"for n in $(seq 50); do {listens} && break; sleep 0.1; done; "

    def answer(server: str, **environment: str) -> int:
        script = f"{server}{wait}{command}"
        return run(
            client,
            image,
            "-c",
            script,
            entrypoint="bash",
            environment=environment,
            volumes=secrets,
            group_add=[10001],
        )[0]

    (up.folder / "secrets").chmod(0o755)
    assert answer(application, **tls) == 0
    assert answer(application) != 0  # it listens, but not by TLS
    assert answer("") != 0
    draining = f"{application}application=$!; {wait}sleep 1; kill -TERM $application; sleep 1; "
    assert answer(draining, **tls) != 0
