"""The stack of docker/compose.yaml, with images of Debian's packages in place of the registry's.

Neo4j and OpenSearch come from Maven (``java_stores.py``); Qdrant has no package and is not started.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.harness.containers import CAPABILITIES
from tests.harness.engine import CACHE, DEBIAN, Engine
from tests.harness.locks import ROOT

NAME = "restoreproof-e2e"
STARTED = ("postgres", "valkey", "app-blue", "app-green", "haproxy", "prometheus")
"""The services that ``up`` starts; the toolbox follows when there is a backup."""

_SERVERS = "restoreproof-e2e-servers:latest"
_PACKAGES = (
    "postgresql valkey-server valkey-tools haproxy prometheus docker-compose "
    "openjdk-21-jre-headless curl"
)
_PLUGIN = "/usr/libexec/docker/cli-plugins/docker-compose"

# as the registry's image: a new cluster with the user, its database and its password
_POSTGRES = """\
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
    echo "create database $POSTGRES_USER" | postgres --single -j postgres
fi
exec "$@" -c "listen_addresses=*"
"""

_IMAGES = {
    "POSTGRES_IMAGE": """\
FROM {servers}
COPY --chmod=0555 postgres /entry
RUN echo 'db:x:999:999::/:/bin/sh' >>/etc/passwd \\
 && rm -rf /var/lib/postgresql && install -d -o 999 -g 999 /var/lib/postgresql/data
ENV LANG=C.UTF-8 PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
ENTRYPOINT ["/entry"]
""",
    "VALKEY_IMAGE": """\
FROM {servers}
RUN install -d -o 999 -g 999 /data
WORKDIR /data
""",
    "HAPROXY_IMAGE": """\
FROM {servers}
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
""",
    "PROMETHEUS_IMAGE": """\
FROM {servers}
RUN install -d -o 65534 -g 65534 /prometheus
ENTRYPOINT ["prometheus"]
""",
}

_SOONER = """\
services:
  toolbox:
    healthcheck: {interval: 1s}
"""


@dataclass(frozen=True)
class Stack:
    """The stack, as a project of the engine's.

    Attributes:
        engine: that runs it.
        folder: a copy of ``docker/`` with secrets of its own.
        variables: the images and the port.
    """

    engine: Engine
    folder: Path
    variables: dict[str, str]

    def compose(self, *args: str, seconds: float = 300) -> subprocess.CompletedProcess[bytes]:
        """Run Compose; its exit code is the caller's business."""
        files = ("-f", str(self.folder / "compose.yaml"), "-f", str(self.folder / "sooner.yaml"))
        return self.engine.docker(
            "compose", "-p", NAME, *files, *args, seconds=seconds, variables=self.variables
        )

    def must(self, *args: str, seconds: float = 300) -> str:
        """Run Compose, and fail the test with its words where that fails."""
        done = self.compose(*args, seconds=seconds)
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-4000:]
        return done.stdout.decode()

    def with_images(self, images: dict[str, str]) -> Stack:
        """The same with further images, by variable."""
        return replace(self, variables=self.variables | images)

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{NAME}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of it."""
        done = self.engine.docker("inspect", self.container(service))
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found[0]

    def assert_healthy_and_hardened(self, service: str) -> None:
        """It becomes healthy, and the kernel holds each of its processes to the stack's limits."""
        deadline = time.monotonic() + 120
        while (found := self.inspect(service))["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < deadline, (service, found["State"])
            time.sleep(0.5)
        assert found["HostConfig"]["ReadonlyRootfs"], service
        assert found["HostConfig"]["PidsLimit"] > 0, service
        assert found["HostConfig"]["Memory"] == found["HostConfig"]["MemorySwap"] > 0, service
        for pid in self.engine.must("top", self.container(service), "-o", "pid").split()[1:]:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            facts = {key: value.split() for key, _, value in (ln.partition(":") for ln in lines)}
            assert "0" not in facts["Uid"] + facts["Gid"], (service, facts["Name"])
            capable = {int(facts[kind][0], 16) for kind in CAPABILITIES}
            assert capable == {0}, (service, facts["Name"])
            assert facts["NoNewPrivs"] == ["1"], (service, facts["Name"])


@pytest.fixture(scope="session")
def servers(engine: Engine, base: str) -> str:
    """The base with the servers of the stack and the plugin Compose; made once and kept."""
    these = hashlib.sha256(_PACKAGES.encode()).hexdigest()[:8]
    kept = CACHE / f"e2e-servers-{DEBIAN}-{these}.tar"
    if not kept.exists():
        install = (
            f"FROM {base}\nRUN apt-get update && apt-get install --yes --no-install-recommends "
            f"{_PACKAGES} && rm -rf /var/lib/apt/lists/* /var/cache/apt\nCMD true\n"
        )
        engine.build(install, engine.config, "servers-made")
        container = engine.must("create", "servers-made").strip()
        unfinished = kept.with_suffix(".part.tar")
        engine.must("export", "-o", str(unfinished), container)
        engine.must("rm", container)
        unfinished.rename(kept)
    engine.must("import", str(kept), _SERVERS)
    return _SERVERS


@pytest.fixture(scope="session")
def stack(
    engine: Engine,
    servers: str,
    sample: str,
    toolbox: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """The project with its secrets and images; nothing of it is started."""
    plugins = engine.config / "cli-plugins"
    plugins.mkdir()
    container = engine.must("create", servers, "true").strip()
    engine.must("cp", f"{container}:{_PLUGIN}", str(plugins / "docker-compose"))
    engine.must("rm", container)
    files = tmp_path_factory.mktemp("images")
    (files / "postgres").write_text(_POSTGRES)
    for variable, dockerfile in _IMAGES.items():
        engine.build(dockerfile.format(servers=servers), files, variable.lower())
    folder = tmp_path_factory.mktemp("stack") / "docker"
    shutil.copytree(ROOT / "docker", folder, ignore=shutil.ignore_patterns("secrets"))
    (folder / "sooner.yaml").write_text(_SOONER)
    subprocess.run(["sh", str(folder / "secrets.sh")], check=True, capture_output=True, timeout=60)
    images = {variable: f"{variable.lower()}:latest" for variable in _IMAGES}
    found = Stack(
        engine,
        folder,
        images | {"APP_IMAGE": sample, "TOOLBOX_IMAGE": toolbox, "HTTPS_PORT": "127.0.0.1:0"},
    )
    yield found
    found.compose("down", "--volumes", "--timeout", "5")
