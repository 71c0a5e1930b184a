"""Rules over how a container runs: written in Compose (``C``), or inspected live (``L``)."""

from __future__ import annotations

from dataclasses import replace

from hardening.model import Severity
from hardening.rules.rule import Rule

_SPEC = "https://docs.docker.com/reference/compose-file/services/"
_SECURITY = "https://docs.docker.com/engine/security/"

# ids without their letter; the same number means the same thing for both
_SHARED = (
    Rule(
        "001",
        "the container runs as root",
        "A process that is taken over as root owns everything in the container, and the host after "
        "one flaw in the kernel or the runtime.",
        'user: "1000:1000"',
        (f"{_SPEC}#user", "CIS Docker Benchmark 4.1"),
        Severity.HIGH,
    ),
    Rule(
        "002",
        "no user is named: the image decides who it runs as",
        "What the image says may change with the next pull, and most say root.",
        'user: "1000:1000", or a build whose final stage has a USER',
        (f"{_SPEC}#user", "CIS Docker Benchmark 4.1"),
        Severity.MEDIUM,
    ),
    Rule(
        "003",
        "the container is privileged",
        "It has every device and capability of the host: a root shell on the host in two lines.",
        "Take privileged out; add back the one capability or device that is needed.",
        (f"{_SPEC}#privileged", "CIS Docker Benchmark 5.5"),
        Severity.CRITICAL,
    ),
    Rule(
        "004",
        "not all capabilities are dropped",
        "The default set lets a process change owners, kill others and forge packets; hardly any "
        "service needs that.",
        "cap_drop: [ALL], then cap_add what breaks, each with its reason beside it.",
        (f"{_SPEC}#cap_drop", "CIS Docker Benchmark 5.4"),
        Severity.MEDIUM,
    ),
    Rule(
        "005",
        "a capability that amounts to root is added",
        "With it a process leaves the container, reads any file or loads code into the kernel.",
        "Take it out; run the part that needs it as a separate, small service.",
        ("https://man7.org/linux/man-pages/man7/capabilities.7.html", "CIS Docker Benchmark 5.4"),
        Severity.HIGH,
    ),
    Rule(
        "006",
        "processes may gain privileges",
        "A setuid program in the image makes root out of the service's user.",
        'security_opt: ["no-new-privileges:true"]',
        (f"{_SECURITY}#linux-kernel-capabilities", "CIS Docker Benchmark 5.26"),
        Severity.MEDIUM,
    ),
    Rule(
        "007",
        "a security profile is switched off",
        "Without seccomp or AppArmor all system calls are open, those with known flaws too.",
        "Take unconfined out, or write a profile that allows the one call more.",
        (f"{_SECURITY}seccomp/", "CIS Docker Benchmark 5.22"),
        Severity.HIGH,
    ),
    Rule(
        "008",
        "the root file system is writable",
        "An intruder can replace programs and leave tools behind.",
        "read_only: true, with tmpfs and volumes for what is written.",
        (f"{_SPEC}#read_only", "CIS Docker Benchmark 5.13"),
        Severity.MEDIUM,
    ),
    Rule(
        "009",
        "the root file system is read-only, but nothing is writable at all",
        "Nearly every program wants a place for temporary files; without one it fails on the first "
        "busy day, and somebody takes read_only out again.",
        'tmpfs: ["/tmp:size=64m,mode=1777,noexec,nosuid,nodev"]',
        (f"{_SPEC}#tmpfs",),
        Severity.LOW,
    ),
    Rule(
        "010",
        "the number of processes is not limited",
        "One fork bomb, or one leak of children, stops the whole host.",
        "pids_limit: 100, or deploy.resources.limits.pids",
        (f"{_SPEC}#pids_limit", "CIS Docker Benchmark 5.29"),
        Severity.MEDIUM,
    ),
    Rule(
        "011",
        "memory is not limited",
        "One leak makes the kernel kill whatever it likes on that host, such as the database.",
        "mem_limit: 512m, or deploy.resources.limits.memory",
        (f"{_SPEC}#mem_limit", "CIS Docker Benchmark 5.11"),
        Severity.MEDIUM,
    ),
    Rule(
        "012",
        "the container engine's socket is in the container",
        "Who can write to it starts a privileged container: root on the host.",
        "Take the mount out, or put a proxy before it that allows the few calls needed.",
        (f"{_SECURITY}#docker-daemon-attack-surface", "CIS Docker Benchmark 5.32"),
        Severity.CRITICAL,
    ),
    Rule(
        "013",
        "a name space of the host is shared",
        "The container sees the host's processes, its loopback or its shared memory.",
        "Take network_mode, pid, ipc, uts or userns_mode: host out.",
        (f"{_SPEC}#network_mode", "CIS Docker Benchmark 5.10, 5.16, 5.17, 5.21, 5.31"),
        Severity.HIGH,
    ),
    Rule(
        "014",
        "a sensitive folder of the host is mounted",
        "What is in there (keys, other containers' data, the system itself) is in the container's "
        "reach.",
        "Mount the one folder that is needed, read-only, or use a volume.",
        (f"{_SPEC}#volumes", "CIS Docker Benchmark 5.6"),
        Severity.HIGH,
    ),
    Rule(
        "015",
        "a data store's port is published on all interfaces",
        "The engine opens it in the host's firewall by itself; a store with a weak password is on "
        "the network within the minute.",
        'ports: ["127.0.0.1:5432:5432"], or none: services reach each other without ports.',
        (f"{_SPEC}#ports", "CIS Docker Benchmark 5.14"),
        Severity.HIGH,
    ),
    Rule(
        "016",
        "a secret is in the environment",
        "Everybody who may inspect the container reads it; children and crash reports inherit it.",
        "secrets: a file under /run/secrets, and its name in NAME_FILE.",
        ("https://docs.docker.com/compose/how-tos/use-secrets/", "CIS Docker Benchmark 4.10"),
        Severity.HIGH,
    ),
    Rule(
        "017",
        "the image is not pinned by digest",
        "A tag moves: the next pull takes in whatever its owner, or whoever took over the account, "
        "has pushed since.",
        "image: name:tag@sha256:… with a digest that was looked up.",
        (f"{_SPEC}#image", "CIS Docker Benchmark 4.2"),
        Severity.MEDIUM,
    ),
    Rule(
        "018",
        "there is no health check",
        "A hung process passes for a healthy one, and what depends on it starts too early.",
        "healthcheck: with a test that means ready, by a program that the image has.",
        (f"{_SPEC}#healthcheck", "CIS Docker Benchmark 5.27"),
        Severity.LOW,
    ),
    Rule(
        "019",
        "the health check is switched off",
        "The image would tell that it hangs, and is told not to.",
        "Take disable: true out.",
        (f"{_SPEC}#healthcheck", "CIS Docker Benchmark 5.27"),
        Severity.MEDIUM,
    ),
    Rule(
        "021",
        "the processor time is not limited",
        "One busy loop slows down everything else on the host.",
        "cpus: 1.0, or deploy.resources.limits.cpus",
        (f"{_SPEC}#cpus", "CIS Docker Benchmark 5.12"),
        Severity.LOW,
    ),
)

_COMPOSE_ONLY = (
    Rule(
        "RP-C020",
        "a capability is added without a reason beside it",
        "Nobody dares to take it out again, and nobody notices when it is one too many.",
        "A comment on the line of the capability, or on the one above: what breaks without it.",
        (f"{_SPEC}#cap_add",),
        Severity.LOW,
    ),
)

RULES = (
    *(replace(rule, id=f"RP-C{rule.id}") for rule in _SHARED),
    *_COMPOSE_ONLY,
    # an engine always knows the user: 002 cannot be seen there
    *(replace(rule, id=f"RP-L{rule.id}") for rule in _SHARED if rule.id != "002"),
)
