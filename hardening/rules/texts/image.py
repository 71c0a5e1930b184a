"""Rules over built images."""

from __future__ import annotations

from hardening.model import Severity
from hardening.rules.rule import Rule

_BEST = "https://docs.docker.com/build/building/best-practices/"

RULES = (
    Rule(
        "RP-I001",
        "the image runs as root",
        "A process that is taken over as root owns everything in the container, and the host after "
        "one flaw in the kernel or the runtime.",
        "End the Dockerfile's final stage with `USER 1000:1000`.",
        (f"{_BEST}#user", "CIS Docker Benchmark 4.1"),
        Severity.HIGH,
    ),
    Rule(
        "RP-I002",
        "the image holds a setuid or setgid program",
        "Whoever runs it becomes its owner: the usual way from a service's user to root, unless "
        "the container runs with no-new-privileges.",
        "In the last RUN: find / -xdev -type f -perm /6000 -exec chmod ug-s {} +",
        ("https://man7.org/linux/man-pages/man2/chmod.2.html", "CIS Docker Benchmark 4.8"),
        Severity.MEDIUM,
    ),
    Rule(
        "RP-I003",
        "the image holds a tool that helps intruders",
        "Downloaders, compilers, editors and network tools are what an intruder needs next.",
        "Use them in an earlier stage, or take them off denied_tools.",
        (f"{_BEST}#dont-install-unnecessary-packages", "CIS Docker Benchmark 4.3"),
        Severity.MEDIUM,
    ),
    Rule(
        "RP-I004",
        "a sensitive file lies in a layer",
        "Whoever can pull the image can read it, even where a later layer deleted it.",
        "Keep it out of the build context; change the credential.",
        ("https://docs.docker.com/build/building/secrets/", "CIS Docker Benchmark 4.10"),
        Severity.CRITICAL,
    ),
    Rule(
        "RP-I005",
        "a credential is in the image's configuration",
        "Variables and labels are readable for everybody who can pull the image.",
        "Give it at run time, as a file under /run/secrets; change the credential.",
        ("https://docs.docker.com/build/building/secrets/", "CIS Docker Benchmark 4.10"),
        Severity.CRITICAL,
    ),
    Rule(
        "RP-I006",
        "the image has no health check",
        "An orchestrator takes a hung process for a healthy one.",
        "Add HEALTHCHECK with a program that the image has anyway; not curl.",
        ("https://docs.docker.com/reference/dockerfile/#healthcheck", "CIS Docker Benchmark 4.6"),
        Severity.LOW,
    ),
    Rule(
        "RP-I007",
        "a file in the image is writable for everybody",
        "Any process in the container can replace it, unless the root file system is read-only.",
        "chmod o-w, or give the file to the user that writes it.",
        ("https://man7.org/linux/man-pages/man2/chmod.2.html",),
        Severity.LOW,
    ),
)
