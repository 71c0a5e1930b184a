"""Images of Neo4j and OpenSearch for the stack, out of Maven packages that ``.ci/setup`` fetches.

They stand in for the registry's: the same folders, users and programs, and an entry point that does
what the stack asks of the registry's. OpenSearch has its real security plugin.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.harness.engine import CACHE, Engine

_OPENSEARCH = "2.19.1"
_JARS = CACHE / "neo4j"
_MAVEN = Path.home() / ".m2/repository/org/opensearch"
_SERVER = _MAVEN.joinpath(
    "distribution/integ-test-zip/opensearch", _OPENSEARCH, f"opensearch-{_OPENSEARCH}.zip"
)
_SECURITY = _MAVEN.joinpath(
    "plugin/opensearch-security", f"{_OPENSEARCH}.0", f"opensearch-security-{_OPENSEARCH}.0.zip"
)

# its configuration from /conf, the first password from a file, then the command that Neo4j names
_NEO4J_ENTRY = """\
#!/bin/sh
set -eu
cp /conf/* "$NEO4J_HOME/conf/"
neo4j-admin dbms set-initial-password "$(cut -d / -f 2 "$NEO4J_AUTH_FILE")"
command=$(neo4j console --dry-run)
eval exec "$command"
"""

_NEO4J_PROGRAM = """\
#!/bin/sh
export NEO4J_CONF="$NEO4J_HOME/conf"
case ${0##*/} in
    neo4j) main=org.neo4j.server.startup.Neo4jCommand ;;
    neo4j-admin) main=org.neo4j.server.startup.Neo4jAdminCommand ;;
    cypher-shell) main=org.neo4j.shell.Main ;;
esac
exec java -cp "$NEO4J_HOME/lib/*" -Dbasedir="$NEO4J_HOME" "$main" "$@"
"""

_NEO4J = """\
FROM {servers}
ENV LANG=C.UTF-8 NEO4J_HOME=/var/lib/neo4j PATH=/var/lib/neo4j/bin:/usr/bin:/bin
COPY lib /var/lib/neo4j/lib
COPY --chmod=0555 program /var/lib/neo4j/bin/neo4j
COPY --chmod=0555 entry /entry
RUN ln /var/lib/neo4j/bin/neo4j /var/lib/neo4j/bin/neo4j-admin \\
 && ln /var/lib/neo4j/bin/neo4j /var/lib/neo4j/bin/cypher-shell \\
 && mkdir /data /logs /var/lib/neo4j/conf /var/lib/neo4j/import /var/lib/neo4j/plugins \\
 && ln -s /data /logs /var/lib/neo4j \\
 && chown 7474:7474 /data /logs /var/lib/neo4j/conf
WORKDIR /var/lib/neo4j
ENTRYPOINT ["/entry"]
"""

# what has a dot in its name is a setting
_OPENSEARCH_ENTRY = """\
#!/usr/bin/python3 -I
import os
settings = [f"-E{name}={value}" for name, value in os.environ.items() if "." in name]
os.execv("bin/opensearch", ["opensearch", *settings])
"""

_OPENSEARCH_IMAGE = """\
FROM {servers}
COPY --chown=1000:1000 opensearch /usr/share/opensearch
COPY --chmod=0555 entry /entry
ENV JAVA_HOME=/usr/lib/jvm/java-21-openjdk-amd64
WORKDIR /usr/share/opensearch
USER 1000
ENTRYPOINT ["/entry"]
"""

_LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


def make_images(engine: Engine, servers: str, scratch: Path) -> dict[str, str]:
    """Both images, by the variable of the stack; the test is skipped without the packages."""
    packages = (_SERVER, _SECURITY)
    if not _JARS.is_dir() or not all(package.exists() for package in packages):
        pytest.skip("not judged: no packages of Neo4j and OpenSearch: run .ci/setup")
    neo4j = scratch / "neo4j"
    shutil.copytree(_JARS, neo4j / "lib")
    (neo4j / "program").write_text(_NEO4J_PROGRAM)
    (neo4j / "entry").write_text(_NEO4J_ENTRY)
    engine.build(_NEO4J.format(servers=servers), neo4j, "neo4j_image")
    _unpack(scratch / "opensearch")
    (scratch / "entry").write_text(_OPENSEARCH_ENTRY)
    engine.build(_OPENSEARCH_IMAGE.format(servers=servers), scratch, "opensearch_image")
    return {"NEO4J_IMAGE": "neo4j_image:latest", "OPENSEARCH_IMAGE": "opensearch_image:latest"}


def _unpack(home: Path) -> None:
    """The server with its plugin, as ``opensearch-plugin install`` leaves them."""
    with ZipFile(_SERVER) as archive:
        archive.extractall(home.parent)
    (home.parent / f"opensearch-{_OPENSEARCH}").rename(home)
    for program in (home / "bin").iterdir():
        program.chmod(0o755)
    plugin = home / "plugins" / "opensearch-security"
    with ZipFile(_SECURITY) as archive:
        archive.extractall(plugin)
    (plugin / "config").rename(home / "config" / "opensearch-security")
    (home / "data").mkdir()
    (home / "config" / "opensearch.yml").write_text("network.host: 0.0.0.0\n")
    (home / "config" / "log4j2.properties").write_text(_LOGGING)
