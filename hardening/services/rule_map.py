"""Which rules of different tools say the same thing.

A group has one common name. Two findings are one issue where their rules are in one group and they
lie in the same file, and on the same line where the group is about lines. Vulnerabilities need no
group: they meet by their aliases, in the same package.
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
        per: whether one issue is one line, or one file.
        also: names that other catalogues have for it.
    """

    title: str
    rules: tuple[tuple[str, str], ...]
    per: Literal["line", "file"] = "line"
    also: tuple[str, ...] = ()


def _pair(trivy: str, hadolint: str) -> tuple[tuple[str, str], ...]:
    return (("trivy", trivy), ("hadolint", hadolint))


GROUPS: Mapping[str, Group] = {
    "image-untagged": Group(
        "A base image is named without a fixed tag.",
        (*_pair("DS-0001", "DL3007"), ("hadolint", "DL3006")),
    ),
    "root-user": Group(
        "The last user of the image is root.",
        _pair("DS-0002", "DL3002"),
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
        "ENV or ARG seems to hold a secret.", _pair("DS-0031", "DL3064"), also=("CIS-4.10",)
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
