from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hardening.rules import scan_compose
from hardening.rules.live.inspected import running
from hardening.rules.running import judge
from restoreproof.run_profile import RunProfile

PROFILE = RunProfile()


def inspected(profile: RunProfile = PROFILE) -> dict[str, Any]:
    """What an engine says of a container that was started with the profile."""
    asked = profile.sdk_arguments()
    return {
        "Name": "/x",
        "Config": {"User": asked["user"], "Healthcheck": {"Test": ["CMD", "x"]}},
        "HostConfig": {
            "ReadonlyRootfs": asked["read_only"],
            "Tmpfs": asked["tmpfs"],
            "CapDrop": asked["cap_drop"],
            "CapAdd": asked["cap_add"],
            "SecurityOpt": asked["security_opt"],
            "PidsLimit": asked["pids_limit"],
            "Memory": asked["mem_limit"],
            "NanoCpus": asked["nano_cpus"],
            "NetworkMode": asked["network_mode"],
            "Privileged": False,
        },
        "NetworkSettings": {"Networks": {asked["network_mode"]: {}}},
    }


def changed(part: str, **values: object) -> Mapping[str, Any]:
    whole = inspected()
    return {**whole, part: {**whole[part], **values}}


def test_a_container_with_the_profile_has_no_shortfall_and_no_finding() -> None:
    assert PROFILE.shortfalls(inspected()) == ()
    assert list(judge(running(inspected()), "L")) == []


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (changed("Config", User=""), "user"),
        (changed("HostConfig", ReadonlyRootfs=False), "read_only"),
        (changed("HostConfig", Tmpfs=None), "tmpfs"),
        (changed("HostConfig", CapDrop=["CAP_CHOWN"]), "cap_drop"),
        (changed("HostConfig", CapAdd=["CAP_NET_RAW"]), "cap_add"),
        (changed("HostConfig", SecurityOpt=None), "no_new_privileges"),
        (
            changed("HostConfig", SecurityOpt=["no-new-privileges", "seccomp=unconfined"]),
            "seccomp",
        ),
        (changed("HostConfig", Privileged=True), "privileged"),
        (changed("HostConfig", PidsLimit=-1), "pids"),
        (changed("HostConfig", PidsLimit=101), "pids"),
        (changed("HostConfig", Memory=0), "memory"),
        (changed("HostConfig", NanoCpus=0), "cpus"),
        (changed("HostConfig", NetworkMode="bridge"), "network"),
        (changed("NetworkSettings", Networks={"none": {}, "bridge": {}}), "network"),
        (changed("HostConfig", PidMode="host"), "host name spaces"),
        ({}, "user"),
    ],
)
def test_every_difference_is_a_shortfall(found: Mapping[str, Any], name: str) -> None:
    assert name in PROFILE.shortfalls(found)
    assert len(PROFILE.shortfalls(found)) == (1 if found else 9)


def test_a_capability_that_was_asked_for_is_no_shortfall() -> None:
    profile = RunProfile(cap_add=("CHOWN",), network="backend")
    assert profile.shortfalls(inspected(profile)) == ()
    assert profile.compose()["cap_add"] == ["CHOWN"]
    assert "cap_add" not in PROFILE.compose()


def test_as_a_compose_service_it_breaks_no_rule_but_those_on_images(tmp_path: Path) -> None:
    service = PROFILE.compose() | {"image": "app:1", "healthcheck": {"test": ["CMD", "x"]}}
    path = tmp_path / "compose.yaml"
    path.write_text(yaml.safe_dump({"services": {"app": service}}))
    scan = scan_compose([path])
    assert scan.not_scanned == ()
    assert {found.rule for found in scan.findings} == {"RP-C017"}
