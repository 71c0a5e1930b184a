"""How a container runs, whoever says so (Compose, or a live engine), and what is wrong with it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hardening.rules.credentials import credential
from hardening.rules.dockerfile.build import is_root
from hardening.rules.references import is_pinned, repository
from hardening.rules.rule import Found

AMOUNTS_TO_ROOT = frozenset(
    (
        *("ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "SYSLOG"),
        *("DAC_READ_SEARCH", "BPF", "PERFMON", "NET_ADMIN", "MAC_ADMIN", "MAC_OVERRIDE"),
        *("LINUX_IMMUTABLE", "SYS_CHROOT", "MKNOD", "AUDIT_CONTROL", "SYS_TIME"),
    )
)

STORE_PORTS = frozenset(
    (
        *(5432, 6432, 3306, 1433, 1521, 27017, 6379, 11211, 9042, 5984, 8086, 2379, 2380),
        *(7474, 7473, 7687, 6333, 6334, 9200, 9300, 9000, 8123, 5672, 15672, 9092),
    )
)
STORE_IMAGES = frozenset(
    (
        *("postgres", "postgresql", "mysql", "mariadb", "mongo", "redis", "valkey", "memcached"),
        *("neo4j", "qdrant", "opensearch", "elasticsearch", "cassandra", "influxdb", "etcd"),
        *("clickhouse-server", "rabbitmq", "minio"),
    )
)

_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")
_WHOLE = frozenset(
    ("/", "/etc", "/root", "/home", "/boot", "/dev", "/proc", "/sys", "/usr", "/var")
)
_BELOW = (
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/etc/kubernetes",
    "/etc/ssh",
)
_FOLDERS = ("/.ssh", "/.aws", "/.kube", "/.gnupg", "/.docker")
_LOOPBACK = ("127.", "::1", "[::1]", "localhost")


class Health(StrEnum):
    """Whether anything would notice a hung process."""

    CHECKED = "checked"
    MISSING = "missing"
    DISABLED = "disabled"
    UNKNOWN = "unknown"
    """The image decides, and is not at hand."""
    ENDS = "ends"
    """It runs to its end, which others wait for."""


@dataclass(frozen=True, slots=True)
class Mount:
    """Something of the host, or a volume, in the container."""

    source: str
    target: str
    is_bind: bool
    read_only: bool


@dataclass(frozen=True, slots=True)
class Port:
    """A published port; an empty address means all interfaces."""

    address: str
    number: int


@dataclass(frozen=True, slots=True)
class Running:
    """How one container runs.

    Attributes:
        name: of the service or container.
        image: reference; empty where it is only built here.
        user: None where the image decides and is not at hand.
        states_user: whether the user is named outside the image.
        lines: where each aspect is written: ``{"cap_add": (7, "compose.yaml")}``; the key ``""``
            is the whole. Empty for live containers.
    """

    name: str
    image: str
    user: str | None
    states_user: bool = False
    privileged: bool = False
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    has_pids_limit: bool = False
    has_memory_limit: bool = False
    has_cpu_limit: bool = False
    host_namespaces: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    health: Health = Health.UNKNOWN
    lines: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def judge(running: Running, letter: str) -> Iterator[Found]:
    """What is wrong with how a container runs.

    Args:
        running: the container or service.
        letter: of the rules: ``C`` or ``L``.
    """
    for check in (_identity, _privileges, _file_system, _limits, _reach, _secrets, _origin):
        for number, aspect, evidence, detail in check(running):
            line, path = running.lines.get(aspect) or running.lines.get("") or (0, "")
            yield Found(f"RP-{letter}{number}", evidence, line, running.name, detail, path)


Seen = tuple[str, str, str, str]
"""Number of the rule, aspect, evidence, detail."""


def _identity(running: Running) -> Iterator[Seen]:
    if running.user is None:
        yield "002", "user", "no user", ""
    elif is_root(running.user):
        yield "001", "user", f"user {running.user}", f"user is {running.user or 'not set'}"


def _privileges(running: Running) -> Iterator[Seen]:
    if running.privileged:
        yield "003", "privileged", "privileged", ""
    added = [_capability(name) for name in running.cap_add]
    if "ALL" not in map(_capability, running.cap_drop):
        yield "004", "cap_drop", "cap_drop without ALL", ""
    for name in added:
        if name in AMOUNTS_TO_ROOT:
            yield "005", "cap_add", f"cap_add {name}", name
    options = [option.replace("=", ":", 1).replace(" ", "") for option in running.security_opt]
    if not any(option in ("no-new-privileges", "no-new-privileges:true") for option in options):
        yield "006", "security_opt", "no no-new-privileges", ""
    for option in options:
        if option.endswith((":unconfined", ":disable")):
            yield "007", "security_opt", option, option


def _file_system(running: Running) -> Iterator[Seen]:
    writable = running.tmpfs or any(not mount.read_only for mount in running.mounts)
    if not running.read_only:
        yield "008", "read_only", "read_only is not set", ""
    elif not writable:
        yield "009", "read_only", "read_only without tmpfs", ""


def _limits(running: Running) -> Iterator[Seen]:
    if not running.has_pids_limit:
        yield "010", "pids_limit", "no pids limit", ""
    if not running.has_memory_limit:
        yield "011", "mem_limit", "no memory limit", ""
    if not running.has_cpu_limit:
        yield "021", "cpus", "no cpu limit", ""


def _reach(running: Running) -> Iterator[Seen]:
    for mount in running.mounts:
        source = posixpath.normpath(f"/{mount.source}") if mount.source[:1] == "/" else mount.source
        source = source.replace("//", "/", 1).rstrip("/") or "/"
        if not mount.is_bind:
            continue
        if source.endswith(_SOCKETS) or source in ("/run", "/var/run"):
            yield "012", "volumes", f"mount {source}", source
        elif source in _WHOLE or _is_below(source, _BELOW) or source.endswith(_FOLDERS):
            yield "014", "volumes", f"mount {source}", source
    for space in running.host_namespaces:
        yield "013", space, f"{space} host", space
    is_store = repository(running.image) in STORE_IMAGES
    for port in running.ports:
        if (is_store or port.number in STORE_PORTS) and not port.address.startswith(_LOOPBACK):
            shown = f"port {port.number}"
            yield "015", "ports", shown, shown


def _secrets(running: Running) -> Iterator[Seen]:
    for name, value in running.environment.items():
        kind = credential(name, value)
        if kind:
            yield "016", f"environment {name}", f"environment {name}", f"{name} is {kind}"


def _origin(running: Running) -> Iterator[Seen]:
    if running.image and not is_pinned(running.image):
        yield "017", "image", f"image {running.image}", running.image
    if running.health is Health.MISSING:
        yield "018", "healthcheck", "no healthcheck", ""
    elif running.health is Health.DISABLED:
        yield "019", "healthcheck", "healthcheck disabled", ""


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
