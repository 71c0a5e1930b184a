from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hardening.rules import Limits, Options
from hardening.rules.catalogue import RULES
from hardening.rules.live.archive import judge_archive
from hardening.rules.live.inspected import judge_image, running
from hardening.rules.running import judge
from restoreproof.errors import Inconclusive
from tests.harness.rule_cases import PIN

HARDENED: Mapping[str, Any] = {
    "Name": "/web",
    "Config": {
        "User": "1000:1000",
        "Image": f"app:1{PIN}",
        "Env": ["PATH=/bin", "PASSWORD_FILE=/run/secrets/p"],
        "Healthcheck": {"Test": ["CMD", "/app", "--check"]},
    },
    "HostConfig": {
        "Privileged": False,
        "ReadonlyRootfs": True,
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Tmpfs": {"/tmp": ""},
        "PidsLimit": 100,
        "Memory": 1 << 26,
        "NanoCpus": 10**9,
        "NetworkMode": "none",
        "PidMode": "",
        "IpcMode": "private",
        "UTSMode": "",
        "UsernsMode": "",
    },
    "Mounts": [],
    "NetworkSettings": {"Ports": {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "1"}]}},
}


def container(part: str, **changed: object) -> Mapping[str, Any]:
    return {**HARDENED, part: {**HARDENED[part], **changed}}


def reported(inspected: Mapping[str, Any]) -> set[str]:
    return {found.rule for found in judge(running(inspected), "L")}


def test_a_hardened_container_has_no_finding() -> None:
    assert reported(HARDENED) == set()


BAD = {
    "RP-L001": container("Config", User=""),
    "RP-L003": container("HostConfig", Privileged=True),
    "RP-L004": container("HostConfig", CapDrop=None),
    "RP-L005": container("HostConfig", CapAdd=["CAP_SYS_ADMIN"]),
    "RP-L006": container("HostConfig", SecurityOpt=None),
    "RP-L007": container("HostConfig", SecurityOpt=["no-new-privileges", "seccomp=unconfined"]),
    "RP-L008": container("HostConfig", ReadonlyRootfs=False),
    "RP-L009": container("HostConfig", Tmpfs=None),
    "RP-L010": container("HostConfig", PidsLimit=None),
    "RP-L011": container("HostConfig", Memory=0),
    "RP-L012": {
        **HARDENED,
        "Mounts": [
            {"Type": "bind", "Source": "/run/docker.sock", "Destination": "/s", "RW": False}
        ],
    },
    "RP-L013": container("HostConfig", IpcMode="host"),
    "RP-L014": {
        **HARDENED,
        "Mounts": [{"Type": "bind", "Source": "/", "Destination": "/h", "RW": False}],
    },
    "RP-L015": container("NetworkSettings", Ports={"5432/tcp": [{"HostIp": "0.0.0.0"}]}),
    "RP-L016": container("Config", Env=["DB_PASSWORD=hunter2"]),
    "RP-L017": container("Config", Image="app:1"),
    "RP-L018": container("Config", Healthcheck=None),
    "RP-L019": container("Config", Healthcheck={"Test": ["NONE"]}),
    "RP-L021": container("HostConfig", NanoCpus=0),
}


@pytest.mark.parametrize("rule", BAD)
def test_a_container_with_one_thing_wrong_has_one_finding(rule: str) -> None:
    assert reported(BAD[rule]) == {rule}


def test_every_rule_over_containers_has_a_case() -> None:
    assert set(BAD) == {name for name in RULES if name[3] == "L"}


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        ({"User": "app", "Healthcheck": {"Test": ["CMD", "x"]}}, set()),
        ({"User": "0", "Healthcheck": {"Test": ["CMD", "x"]}}, {"RP-I001"}),
        ({"User": "app", "Env": ["TOKEN=abcdef"], "Labels": None}, {"RP-I005", "RP-I006"}),
        ({"User": "app", "Labels": {"x": "pg://b:cdef@g"}}, {"RP-I005", "RP-I006"}),
        ({}, {"RP-I001", "RP-I006"}),
    ],
)
def test_the_configuration_of_an_image_is_judged(
    config: Mapping[str, object], rules: set[str]
) -> None:
    assert {found.rule for found in judge_image({"Config": config})} == rules


Member = tuple[str, int, bytes]


def layer(members: Sequence[Member]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, mode, content in members:
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, len(content)
            archive.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def saved(path: Path, *layers: bytes) -> Path:
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "c.json", "Layers": names}]).encode()
    members = [(name, 0o644, raw) for name, raw in zip(names, layers, strict=True)]
    path.write_bytes(layer([*members, ("manifest.json", 0o644, manifest)]))
    return path


def files(path: Path, options: Options | None = None) -> set[tuple[str, str]]:
    return {(one.rule, one.evidence) for one in judge_archive(path, options or Options())}


def test_files_of_an_image_are_judged_layer_by_layer(tmp_path: Path) -> None:
    low = layer(
        [
            ("usr/bin/su", 0o4755, b"x"),
            ("usr/bin/passwd", 0o4755, b"x"),
            ("usr/bin/mount", 0o4755, b"x"),
            ("./usr/bin/curl", 0o755, b"x"),
            ("usr/bin/wget", 0o755, b"x"),
            ("app/wget", 0o755, b"x"),
            ("app/.env", 0o644, b"A=1"),
            ("app/ca.pem", 0o644, b"-----BEGIN CERTIFICATE-----"),
            ("app/open", 0o666, b"x"),
            ("old/a/open", 0o666, b"x"),
            ("gone/open", 0o666, b"x"),
            ("usr/lib/python3/test/key.pem", 0o644, b"x"),
        ]
    )
    high = layer(
        [
            ("usr/bin/.wh.passwd", 0o644, b""),
            ("usr/bin/su", 0o755, b"y"),
            ("usr/bin/.wh.wget", 0o644, b""),
            ("app/.wh..env", 0o644, b""),
            ("old/new", 0o666, b"x"),
            ("old/.wh..wh..opq", 0o644, b""),
            (".wh.gone", 0o644, b""),
            ("root/.ssh/id_ed25519", 0o600, b"x"),
        ]
    )
    for name, packed in (("plain", high), ("zstd", zstandard.compress(high))):
        path = saved(tmp_path / name, low, packed)
        assert files(path) == {
            ("RP-I002", "usr/bin/mount"),
            ("RP-I003", "usr/bin/curl"),
            ("RP-I004", "app/.env"),
            ("RP-I004", "root/.ssh/id_ed25519"),
            ("RP-I007", "app/open"),
            ("RP-I007", "old/new"),
        }
        details = {one.evidence: one.detail for one in judge_archive(path, Options())}
        assert details["app/.env"].endswith("layer 1, deleted by a later one")
        assert details["root/.ssh/id_ed25519"].endswith("layer 2")


@pytest.mark.parametrize("cut", [0, 1, 700, -1])
def test_a_broken_archive_is_not_judged(cut: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "a", layer([("usr/bin/su", 0o4755, b"x" * 4000)]))
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2] if cut == -1 else raw[:cut])
    with pytest.raises(Inconclusive):
        files(path)


def test_an_image_that_unpacks_to_too_much_is_not_judged(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", layer([("a", 0o644, b"x" * 5000), ("b", 0o644, b"x")]))
    assert files(path) == set()
    for limits in (Limits(image_bytes=5000), Limits(image_entries=1)):
        with pytest.raises(Inconclusive):
            files(path, Options(limits=limits))
