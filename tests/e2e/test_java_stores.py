"""Neo4j and OpenSearch as the stack runs them: hardened, by TLS, able to write what they must."""

from __future__ import annotations

import json
from collections.abc import Iterator

import docker
import pytest

from restoreproof.run_profile import RunProfile
from tests.harness.containers import run
from tests.harness.java_stores import make_images
from tests.harness.stack import NAME, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

STORES = ("neo4j", "opensearch")

CYPHER = """\
IFS=/ read -r NEO4J_USERNAME NEO4J_PASSWORD </run/secrets/neo4j_auth
export NEO4J_USERNAME NEO4J_PASSWORD
exec cypher-shell --format plain -a bolt+ssc://localhost:7687 "$1"
"""

# Bolt's handshake: its magic number and four versions; the server answers with the one it takes
BOLT = """\
import socket, ssl
def answer(connection):
    connection.sendall(bytes.fromhex("6060b017" "00000405" "00000404" "00000004" "00000003"))
    return connection.recv(4).hex()
plain = socket.create_connection(("neo4j", 7687), 5)
if TLS:
    trusted = ssl.create_default_context(cafile="/run/secrets/ca.crt")
    print(answer(trusted.wrap_socket(plain, server_hostname=NAME)))
else:
    print(answer(plain))
"""


@pytest.fixture(scope="module")
def up(stack: Stack, servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with these two started."""
    images = make_images(stack.engine, servers, tmp_path_factory.mktemp("java"))
    running = stack.with_images(images)
    running.must("up", "-d", "--wait", "--wait-timeout", "300", *STORES, seconds=400)
    yield running
    running.must("down", "--volumes", "--timeout", "20")


def cypher(up: Stack, query: str) -> list[str]:
    """The rows of an answer."""
    return up.must("exec", "-T", "neo4j", "sh", "-c", CYPHER, "sh", query).splitlines()[1:]


def asked(up: Stack, path: str, *options: str, who: str | None = "toolbox") -> tuple[int, str]:
    """curl's exit code and the answer of OpenSearch, in its own container."""
    shown = ("--cert", f"/run/secrets/{who}.crt", "--key", f"/run/secrets/{who}.key") if who else ()
    words = (
        *("exec", "-T", "opensearch", "curl", "-sS", "--cacert", "config/ca.crt", *shown),
        *("-H", "content-type: application/json", *options, f"https://localhost:9200{path}"),
    )
    done = up.compose(*words)
    return done.returncode, done.stdout.decode()


def told(up: Stack, path: str, *options: str) -> dict[str, object]:
    code, answer = asked(up, path, "--fail-with-body", *options)
    assert code == 0, answer
    found: dict[str, object] = json.loads(answer)
    return found


@pytest.mark.parametrize("service", STORES)
def test_they_are_healthy_and_hardened(up: Stack, service: str) -> None:
    up.assert_healthy_and_hardened(service)


def bolt(up: Stack, client: docker.DockerClient, *, tls: bool, name: str = "neo4j") -> str:
    """What a client on the stores' network is answered, or its error."""
    image = up.variables["APP_IMAGE"]
    authority = {str(up.folder / "secrets/ca.crt"): {"bind": "/run/secrets/ca.crt", "mode": "ro"}}
    script = f"TLS, NAME = {tls!r}, {name!r}\n{BOLT}"
    profile = RunProfile(network=f"{NAME}_stores")
    _, said = run(
        *(client, image, "-I", "-c", script),
        profile=profile,
        entrypoint="python3",
        volumes=authority,
    )
    return said.strip()


def test_neo4j_speaks_tls_under_its_own_name_alone(up: Stack, client: docker.DockerClient) -> None:
    assert bolt(up, client, tls=True) == "00000405"
    assert "certificate is not valid for 'opensearch'" in bolt(
        up, client, tls=True, name="opensearch"
    )
    assert bolt(up, client, tls=False) == ""  # it hangs up


def test_neo4j_keeps_password_and_data_over_a_restart(up: Stack) -> None:
    cypher(up, "CREATE (:Thing {name: 'kept'})")
    up.must("restart", "neo4j")
    up.must("up", "-d", "--wait", "--wait-timeout", "120", "neo4j")
    assert cypher(up, "MATCH (t:Thing) RETURN t.name") == ['"kept"']


def test_who_has_no_certificate_does_not_come_into_opensearch(up: Stack) -> None:
    assert asked(up, "/", who=None)[0] != 0
    plain = ("exec", "-T", "opensearch", "curl", "-sS", "http://localhost:9200/")
    assert up.compose(*plain).returncode != 0


def test_a_certificate_of_ours_gives_no_rights_of_its_own(up: Stack) -> None:
    """The node's is one of ours, too, and belongs to nobody who is mapped to a role."""
    node = ("--cert", "config/node.crt", "--key", "config/node.key")
    code, answer = asked(up, "/_cluster/health", *node, who=None)
    assert code == 0
    assert json.loads(answer)["status"] == 403


def test_opensearch_takes_snapshots_into_their_volume(up: Stack) -> None:
    told(up, "/_snapshot/kept", "-XPUT", "-d", '{"type": "fs", "settings": {"location": "kept"}}')
    told(up, "/things/_doc/1?refresh=true", "-XPUT", "-d", '{"name": "kept"}')
    once = told(up, "/_snapshot/kept/one?wait_for_completion=true", "-XPUT")
    assert isinstance(once["snapshot"], dict)
    assert once["snapshot"]["state"] == "SUCCESS"
    renamed = '{"indices": "things", "rename_pattern": "(.+)", "rename_replacement": "copy-$1"}'
    told(up, "/_snapshot/kept/one/_restore?wait_for_completion=true", "-XPOST", "-d", renamed)
    assert told(up, "/copy-things/_doc/1")["_source"] == {"name": "kept"}


def test_opensearch_has_its_system_call_filter(up: Stack) -> None:
    said = up.must("logs", "opensearch")
    assert "initialized" in said  # the log is there
    assert "JNA is not available" not in said
    assert "system call filters failed to install" not in said
