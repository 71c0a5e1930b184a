"""Which rules of different tools say the same thing.

A group has one common name. Two findings are one issue where their rules are in one group and they
lie in the same file, and on the same line or in the same service where the group is about those.
Vulnerabilities need no group: they meet by their aliases, in the same package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that say the same.

    Attributes:
        title: what they say, in one sentence.
        rules: tool and rule.
        per: what one issue is: a line of a file, whatever stage or service it belongs to; a
            service of a file, wherever in it; a service's line; or a file.
        also: names that other catalogues have for it.
    """

    title: str
    rules: tuple[tuple[str, str], ...]
    per: Literal["line", "service", "service-line", "file"] = "line"
    also: tuple[str, ...] = ()


def _pair(trivy: str, hadolint: str) -> tuple[tuple[str, str], ...]:
    return (("trivy", trivy), ("hadolint", hadolint))


def _composed(compose_lint: str, ours: str) -> tuple[tuple[str, str], ...]:
    return (("compose-lint", compose_lint), ("restoreproof", ours))


GROUPS: Mapping[str, Group] = {
    "image-untagged": Group(
        "A base image is named without a fixed tag.",
        (*_pair("DS-0001", "DL3007"), ("hadolint", "DL3006")),
    ),
    "root-user": Group(
        "The last user of the image is root.",
        (*_pair("DS-0002", "DL3002"), ("restoreproof", "RP-D001")),
        per="file",
        also=("CIS-4.1",),
    ),
    "copy-not-add": Group("ADD is used where COPY would do.", _pair("DS-0005", "DL3020")),
    "copy-from-itself": Group("COPY --from names its own stage.", _pair("DS-0006", "DL3023")),
    "several-entrypoints": Group(
        "A stage has several ENTRYPOINT instructions.", _pair("DS-0007", "DL4004"), per="file"
    ),
    "port-out-of-range": Group("EXPOSE names no port.", _pair("DS-0008", "DL3011")),
    "workdir-relative": Group("WORKDIR is relative.", _pair("DS-0009", "DL3000")),
    "sudo": Group("sudo is used in the build.", _pair("DS-0010", "DL3004")),
    "copy-to-file": Group(
        "COPY of several sources needs a folder as its target.", _pair("DS-0011", "DL3021")
    ),
    "stage-twice": Group("Two stages have one name.", _pair("DS-0012", "DL3024"), per="file"),
    "cd": Group("RUN cd is used instead of WORKDIR.", _pair("DS-0013", "DL3003")),
    "wget-and-curl": Group("Both wget and curl are used.", _pair("DS-0014", "DL4001"), per="file"),
    "yum-cache": Group("The cache of yum stays in the layer.", _pair("DS-0015", "DL3032")),
    "several-cmds": Group(
        "A stage has several CMD instructions.", _pair("DS-0016", "DL4003"), per="file"
    ),
    "dnf-cache": Group("The cache of dnf stays in the layer.", _pair("DS-0019", "DL3040")),
    "zypper-cache": Group("The cache of zypper stays in the layer.", _pair("DS-0020", "DL3036")),
    "apt-get-yes": Group("apt-get asks a question in the build.", _pair("DS-0021", "DL3014")),
    "maintainer": Group("MAINTAINER is deprecated.", _pair("DS-0022", "DL4000")),
    "several-healthchecks": Group(
        "A stage has several HEALTHCHECK instructions.", _pair("DS-0023", "DL3012"), per="file"
    ),
    "apk-cache": Group("The cache of apk stays in the layer.", _pair("DS-0025", "DL3019")),
    "no-healthcheck": Group(
        "The image has no health check.", _pair("DS-0026", "DL3057"), per="file", also=("CIS-4.6",)
    ),
    "apt-recommends": Group(
        "apt-get installs what is merely recommended.", _pair("DS-0029", "DL3015")
    ),
    "secret-in-env": Group(
        "ENV or ARG seems to hold a secret.",
        (*_pair("DS-0031", "DL3064"), ("restoreproof", "RP-D013")),
        also=("CIS-4.10",),
    ),
    "service-privileged": Group(
        "A service is privileged.", _composed("CL-0002", "RP-C003"), "service", ("CIS-5.5",)
    ),
    "service-new-privileges": Group(
        "The processes of a service may gain privileges.",
        _composed("CL-0003", "RP-C006"),
        "service",
        ("CIS-5.26",),
    ),
    "service-capabilities": Group(
        "A service does not drop all capabilities.",
        _composed("CL-0006", "RP-C004"),
        "service",
        ("CIS-5.4",),
    ),
    "service-writable": Group(
        "The root file system of a service is writable.",
        _composed("CL-0007", "RP-C008"),
        "service",
        ("CIS-5.13",),
    ),
    "service-root": Group(
        "A service runs as root.", _composed("CL-0018", "RP-C001"), per="service"
    ),
    "service-digest": Group(
        "The image of a service is not pinned by digest.",
        _composed("CL-0019", "RP-C017"),
        per="service",
    ),
    "service-host-space": Group(
        "A service shares a name space of the host.",
        (*_composed("CL-0008", "RP-C013"), ("compose-lint", "CL-0010")),
        per="service-line",
    ),
    "service-profile": Group(
        "A security profile of a service is switched off.",
        _composed("CL-0009", "RP-C007"),
        "service",
        ("CIS-5.22",),
    ),
    "service-engine-socket": Group(
        "The container engine's socket is in a service.",
        _composed("CL-0001", "RP-C012"),
        "service",
        ("CIS-5.32",),
    ),
    "service-secret": Group(
        "A secret stands in the environment of a service.",
        _composed("CL-0020", "RP-C016"),
        per="service-line",
    ),
    "workflow-injection": Group(
        "Input of strangers gets into a script of a workflow.",
        (("zizmor", "template-injection"), ("actionlint", "untrusted-input")),
    ),
}

_GROUP_OF = {rule: name for name, group in GROUPS.items() for rule in group.rules}


def group_of(tool: str, rule: str) -> str:
    """The common name of a tool's rule; empty where it is in no group."""
    return _GROUP_OF.get((tool, rule), "")
