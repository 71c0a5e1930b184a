"""For each rule something that it must report, with the line, and something that it must not."""

from __future__ import annotations

from dataclasses import dataclass

PIN = "@sha256:" + "0123456789abcdef" * 4  # a placeholder of the right form; nothing is pulled


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        rule: its id.
        bad: content that the rule reports.
        line: where.
        good: content that it does not report.
    """

    rule: str
    bad: str
    line: int
    good: str


DOCKERFILES = (
    Case("RP-D001", f"FROM a{PIN}\nUSER app\nUSER 0:0\n", 3, "FROM a\nUSER root\nUSER 1000:1000\n"),
    Case("RP-D001", "FROM a\nRUN x\n", 1, "FROM a AS b\nUSER app\nFROM b\n"),
    Case("RP-D001", "FROM a AS b\nUSER root\nFROM b\n", 2, "FROM a AS b\nUSER 0\nFROM a\nUSER 1\n"),
    Case("RP-D001", "FROM scratch\n", 1, "FROM scratch\nUSER 65532\n"),
    Case(
        "RP-D001",
        "ARG U=root\nFROM a\nARG U\nENV W=${U:-app}\nUSER ${W}:app\n",
        5,
        "ARG U=app\nFROM a\nARG U\nENV W=${U:+other}\nUSER ${W}\n",
    ),
    Case("RP-D001", "FROM a\nUSER $NOBODY_SETS_IT\n", 2, "FROM a\nUSER ${UNSET:-1000}\n"),
    Case(
        "RP-D001",
        "FROM a AS b\nONBUILD USER root\nUSER app\nFROM b\n",
        2,
        "FROM a AS b\nONBUILD USER root\nUSER app\nFROM b\nUSER app\n",
    ),
    Case(
        "RP-D001", "FROM a\nRUN <<X\nUSER app\nX\n", 1, "FROM a\nRUN <<X\nUSER root\nX\nUSER app\n"
    ),
    Case("RP-D001", '# escape=`\nFROM a\nUSER "0`\n0"\n', 3, "# escape=`\nFROM a\nUSER `\n app\n"),
    Case(
        "RP-D002",
        "FROM a\nCMD x\nUSER app\n",
        3,
        "FROM a AS b\nCMD x\nFROM b\nUSER app\nENTRYPOINT y\nCMD x\n",
    ),
    Case("RP-D003", 'FROM a\nCMD ["sudo", "x"]\n', 2, 'FROM a\nCMD ["sudo", "-u", "app", "x"]\n'),
    Case(
        "RP-D003",
        "FROM a\nENTRYPOINT exec \\\n  gosu root x\n",
        3,
        "FROM a\nENTRYPOINT exec gosu app x\n",
    ),
    Case(
        "RP-D003",
        "FROM a\nCMD sh -c 'cd / && su -c x'\n",
        2,
        "FROM a\nCMD sudo x\nENTRYPOINT y\nCMD x --user app\n",
    ),
    Case(
        "RP-D003", "FROM a\nCMD x --user=root\n", 2, "FROM a AS b\nCMD su\nFROM b\nENTRYPOINT x\n"
    ),
    Case("RP-D003", "FROM a\nHEALTHCHECK CMD su-exec 0 x\n", 2, "FROM a\nHEALTHCHECK CMD x su\n"),
    Case(
        "RP-D004",
        "FROM a\nCOPY x /x\nUSER app\n",
        2,
        "FROM a AS b\nCOPY x /\nFROM a\nCOPY --chown=app x /\nUSER app\n",
    ),
    Case(
        "RP-D005", "FROM a:1\n", 1, f"FROM a:1{PIN} AS b\nFROM b\nCOPY --from=b x .\nFROM scratch\n"
    ),
    Case("RP-D005", "ARG V=2\n\nFROM r:5/a:$V\n", 3, f"ARG V=a:1{PIN}\nFROM ${{V}}\n"),
    Case(
        "RP-D005",
        f"FROM a{PIN}\nCOPY --from=b:1 x .\n",
        2,
        f"FROM a{PIN}\nCOPY --from=0 x .\nCOPY --from=b{PIN} x .\n",
    ),
    Case("RP-D006", "FROM r:5000/a\n", 1, "FROM r:5000/a:1\n"),
    Case("RP-D006", "FROM --platform=linux/arm64 a:latest AS b\n", 1, f"FROM a:latest{PIN}\n"),
    Case("RP-D007", "FROM a\n", 1, "FROM a AS b\nHEALTHCHECK CMD x\nFROM b\n"),
    Case(
        "RP-D008",
        "FROM a\nHEALTHCHECK CMD x\nHEALTHCHECK none\n",
        3,
        "FROM a\nHEALTHCHECK NONE\nHEALTHCHECK --interval=1s CMD x\n",
    ),
    Case(
        "RP-D009",
        "FROM a\nRUN apt-get update && \\\n # tools\n apt-get install -y \\\n ca-certs curl=7.* \n",
        5,
        "FROM a AS b\nRUN apt-get install -y curl\nFROM a\nRUN apt-get install -y ca-certs\n",
    ),
    Case(
        "RP-D009",
        "FROM a AS b\nRUN apk add --no-cache gcc\nFROM b\n",
        2,
        "FROM a\nRUN apk add --virtual .deps gcc musl-dev && make && apk del .deps\n",
    ),
    Case(
        "RP-D009",
        'FROM a\nARG P="vim x"\nRUN <<END\nset -e\nif true; then dnf -y install $P; fi\nEND\n',
        3,
        "FROM a\nRUN <<END cat > /x\napt-get install curl\nEND\n",
    ),
    Case(
        "RP-D009",
        'FROM a\nRUN ["bash", "-ec", "yum install -y nmap"]\n',
        2,
        "FROM a\nRUN apt-get install -y curl && curl x && apt-get purge -y curl\n",
    ),
    Case("RP-D010", "FROM a\nRUN x; chmod -R 777 /app\n", 2, "FROM a\nRUN chmod 1777 /tmp\n"),
    Case("RP-D010", "FROM a\nRUN chmod a+rwx /x\n", 2, "FROM a\nRUN chmod u+rwx,go-w /x\n"),
    Case("RP-D010", "FROM a\nCOPY --chmod=0666 x /\n", 2, "FROM a\nCOPY --chmod=0644 x /\n"),
    Case("RP-D010", "FROM a\nRUN mkdir -m 0777 /x\n", 2, "FROM a\nRUN mkdir -m 0755 /777\n"),
    Case("RP-D011", "FROM a\nRUN chmod u+s /x\n", 2, "FROM a\nRUN chmod u-s,g-s /x\n"),
    Case("RP-D011", "FROM a\nARG M=4755\nADD --chmod=$M x /\n", 3, "FROM a\nADD --chmod=755 x /\n"),
    Case("RP-D011", "FROM a\nRUN install -m 6755 a b\n", 2, "FROM a\nRUN install -m 0755 a b\n"),
    Case("RP-D012", "FROM a\nRUN --security=insecure x\n", 2, "FROM a\nRUN --security=sandbox x\n"),
    Case(
        "RP-D012",
        "FROM a AS b\nRUN --network=host x\nFROM a\n",
        2,
        "FROM a\nRUN --network=none x\n",
    ),
    Case(
        "RP-D013",
        "FROM a\nENV A=1 \\\n  DSN=postgres://app:hunter2@db/x\n",
        3,
        "FROM a\nENV PASSWORD_FILE=/run/secrets/p DSN=postgres://app:$PW@db/x PASSWORD=\n",
    ),
    Case(
        "RP-D013",
        "ARG NPM_TOKEN=abcdef12345\nFROM a\n",
        1,
        "ARG NPM_TOKEN\nFROM a\nARG API_KEY_FILE=x\n",
    ),
    Case(
        "RP-D013",
        'FROM a\nLABEL k="AKIAABCDEFGHIJKLMNOP"\n',
        2,
        'FROM a\nLABEL org.opencontainers.image.source="https://example.org/a"\n',
    ),
    Case(
        "RP-D014",
        "FROM a\nADD --chown=1 \\\n https://example.org/x /\n",
        3,
        "FROM a\nADD --checksum=sha256:0 https://example.org/x /\nADD x /\n",
    ),
)

_SERVICE = """services:
  db:
    image: app:1
"""


def service(*lines: str) -> str:
    """A Compose file of one service; the first of these lines is line 4."""
    return _SERVICE + "".join(f"    {line}\n" for line in lines)


_AWAITED = """\
services:
  once: {{image: x}}
  web:
    image: x
    healthcheck: {{test: [CMD, x]}}
    depends_on: {{once: {{condition: service_{}}}}}
"""

COMPOSE_FILES = (
    Case("RP-C001", service('user: "0:0"'), 4, service("user: 1000:1000")),
    Case("RP-C001", service("user: $NOBODY_SETS_IT"), 4, service("user: ${UNSET:-app}")),
    Case("RP-C002", service("init: true"), 2, service("user: app")),
    Case("RP-C003", service("privileged: true"), 4, service("privileged: false")),
    Case("RP-C004", service("cap_drop: [NET_RAW]"), 4, service("cap_drop:", "  - ALL")),
    Case("RP-C005", service("cap_add: [CAP_SYS_ADMIN]"), 4, service("cap_add: [CHOWN]")),
    Case(
        "RP-C006",
        service("security_opt: [no-new-privileges:false]"),
        4,
        service("security_opt: [no-new-privileges=true]"),
    ),
    Case(
        "RP-C007",
        service("security_opt: [seccomp=unconfined]"),
        4,
        service("security_opt: [seccomp=profile.json]"),
    ),
    Case("RP-C008", service("read_only: false"), 4, service("read_only: true")),
    Case("RP-C009", service("read_only: true"), 4, service("read_only: true", "tmpfs: /tmp")),
    Case(
        "RP-C009",
        service("read_only: true", "volumes: [a:/a:ro]"),
        4,
        service("read_only: true", "volumes: [a:/a]"),
    ),
    Case("RP-C010", service("pids_limit: -1"), 4, service("pids_limit: 50")),
    Case("RP-C010", service("init: true"), 2, service("deploy: {resources: {limits: {pids: 9}}}")),
    Case("RP-C011", service("mem_limit: 0"), 4, service("mem_limit: 64m")),
    Case(
        "RP-C011", service("init: true"), 2, service("deploy: {resources: {limits: {memory: 9m}}}")
    ),
    Case(
        "RP-C012",
        service("volumes:", "  - /var/run/docker.sock:/s:ro"),
        4,
        service("volumes: [/srv/docker:/s]"),
    ),
    Case("RP-C013", service("pid: host"), 4, service("pid: service:app")),
    Case("RP-C013", service("network_mode: host"), 4, service("network_mode: none")),
    Case(
        "RP-C014",
        service("volumes: [{type: bind, source: /etc, target: /x}]"),
        4,
        service("volumes: [{type: volume, source: etc, target: /etc}, ./etc:/etc:ro]"),
    ),
    Case("RP-C015", service('ports: ["5432:5432"]'), 4, service('ports: ["127.0.0.1:5432:5432"]')),
    Case(
        "RP-C015",
        service("ports: [{target: 6379, published: 1}]"),
        4,
        service("ports: [{target: 6379, published: 1, host_ip: 127.0.0.1}, 80:8080]"),
    ),
    Case(
        "RP-C016",
        service("environment:", "  A: 1", "  POSTGRES_PASSWORD: hunter2"),
        6,
        service("environment: [POSTGRES_PASSWORD_FILE=/run/secrets/p, TOKEN]"),
    ),
    Case("RP-C017", "services: {a: {image: app:1}}", 1, f"services: {{a: {{image: app:1{PIN}}}}}"),
    Case("RP-C018", service("init: true"), 2, service("healthcheck: {test: [CMD, x]}")),
    Case("RP-C018", _AWAITED.format("started"), 2, _AWAITED.format("completed_successfully")),
    Case("RP-C019", service("healthcheck: {disable: true}"), 4, service("healthcheck: {test: x}")),
    Case(
        "RP-C019", service("healthcheck: {test: [NONE]}"), 4, service("healthcheck: {test: [CMD]}")
    ),
    Case(
        "RP-C020",
        service("cap_add:", "  - CHOWN"),
        5,
        service("cap_add:", "  - CHOWN # data", "  # port 80", "  - NET_BIND_SERVICE"),
    ),
    Case("RP-C021", service("init: true"), 2, service("cpus: 0.5")),
)
