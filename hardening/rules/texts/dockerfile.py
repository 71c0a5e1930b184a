"""Rules over Dockerfiles."""

from __future__ import annotations

from hardening.model import Severity
from hardening.rules.rule import Rule

_REFERENCE = "https://docs.docker.com/reference/dockerfile/"
_BEST = "https://docs.docker.com/build/building/best-practices/"

RULES = (
    Rule(
        "RP-D001",
        "the final stage runs as root",
        "A process that is taken over as root owns everything in the container, and the host after "
        "one flaw in the kernel or the runtime. The user in force counts: inherited from the stage "
        "it continues, variables replaced. A base image whose user is not known counts as root.",
        "End the final stage with `USER 1000:1000`, or name the base image's user in base_users.",
        (f"{_REFERENCE}#user", "CIS Docker Benchmark 4.1"),
        Severity.HIGH,
    ),
    Rule(
        "RP-D002",
        "USER comes after CMD or ENTRYPOINT",
        "The builder does not mind, but a reader takes the command to run as the user above it, "
        "and the next edit makes that true.",
        "Put USER before CMD and ENTRYPOINT.",
        (f"{_REFERENCE}#user",),
        Severity.LOW,
    ),
    Rule(
        "RP-D003",
        "the command makes itself root",
        "sudo, su, gosu root and their like undo USER: they need a setuid program in the image, or "
        "a container that starts as root.",
        "Start the program directly, as the image's user; do what needs root while building.",
        (f"{_BEST}#user", "CIS Docker Benchmark 4.1"),
        Severity.HIGH,
    ),
    Rule(
        "RP-D004",
        "copied files have an owner that policy does not allow",
        "COPY without --chown gives files to root, whoever USER is; COPY --chown to the user that "
        "runs lets a taken-over process change its own code. Which of them is wrong is a choice: "
        "the setting copy_ownership makes it.",
        "copy_ownership = stated: write --chown on every COPY and ADD. root: leave --chown out, or "
        "name root in it.",
        (f"{_REFERENCE}#copy---chown---chmod",),
        Severity.LOW,
    ),
    Rule(
        "RP-D005",
        "the base image is not pinned by digest",
        "A tag moves: the next build takes in whatever its owner, or whoever took over the "
        "account, has pushed since.",
        "Write name:tag@sha256:… with a digest that was looked up, and let a bot renew it.",
        (f"{_BEST}#pin-base-image-versions", "CIS Docker Benchmark 4.2"),
        Severity.MEDIUM,
    ),
    Rule(
        "RP-D006",
        "the base image has no tag, or the tag latest",
        "Nobody can say which version was built, nor build it again.",
        "Name a version.",
        (f"{_BEST}#pin-base-image-versions",),
        Severity.MEDIUM,
    ),
    Rule(
        "RP-D007",
        "the image has no health check",
        "An orchestrator takes a hung process for a healthy one, and a release for a good one.",
        "Add HEALTHCHECK with a program that the image has anyway; not curl.",
        (f"{_REFERENCE}#healthcheck", "CIS Docker Benchmark 4.6"),
        Severity.LOW,
    ),
    Rule(
        "RP-D008",
        "HEALTHCHECK NONE switches the base image's health check off",
        "A hung process passes for a healthy one, although the base image would have told.",
        "Leave the line out, or write a health check that fits.",
        (f"{_REFERENCE}#healthcheck", "CIS Docker Benchmark 4.6"),
        Severity.MEDIUM,
    ),
    Rule(
        "RP-D009",
        "a tool that helps intruders is installed in the final stage",
        "Downloaders, compilers, editors and network tools are what an intruder needs next; each "
        "also brings vulnerabilities of its own.",
        "Use them in an earlier stage and copy the result, or take them off denied_tools.",
        (f"{_BEST}#dont-install-unnecessary-packages", "CIS Docker Benchmark 4.3"),
        Severity.MEDIUM,
    ),
    Rule(
        "RP-D010",
        "files are made writable for everybody",
        "Any process in the container can replace the program or its configuration.",
        "Give the files to the user that needs to write, and nobody else: --chown, chmod 755.",
        (f"{_REFERENCE}#copy---chown---chmod",),
        Severity.MEDIUM,
    ),
    Rule(
        "RP-D011",
        "a setuid or setgid bit is set",
        "Whoever runs the file becomes its owner: the usual way from a service's user to root.",
        "Leave the bit out; give a single capability to a single program if it must be.",
        ("https://man7.org/linux/man-pages/man2/chmod.2.html", "CIS Docker Benchmark 4.8"),
        Severity.HIGH,
    ),
    Rule(
        "RP-D012",
        "a build step runs without isolation",
        "--security=insecure gives a build step all capabilities of the builder's host; "
        "--network=host lets it reach what listens on that host's loopback.",
        "Leave the flag out.",
        (f"{_REFERENCE}#run---security",),
        Severity.HIGH,
    ),
    Rule(
        "RP-D013",
        "a credential is written into the image",
        "ENV, LABEL and ARG lie in the image's configuration and history, readable for everybody "
        "who can pull it, whatever later lines do.",
        "At build time RUN --mount=type=secret; at run time a file under /run/secrets and its name "
        "in NAME_FILE. Change the credential: it is out.",
        ("https://docs.docker.com/build/building/secrets/", "CIS Docker Benchmark 4.10"),
        Severity.CRITICAL,
    ),
    Rule(
        "RP-D014",
        "ADD takes a file from the network unchecked",
        "What lies at that address when the image is built is what runs; nothing compares it.",
        "ADD --checksum=sha256:…, or COPY from the build context.",
        (f"{_REFERENCE}#add---checksum", "CIS Docker Benchmark 4.9"),
        Severity.MEDIUM,
    ),
)
