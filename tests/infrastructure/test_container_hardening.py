"""The images and the stack in docker/ as they are written; tests/e2e builds and runs them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hardening.model import Severity
from hardening.rules import Options, scan_files
from hardening.rules.context.ignore import ignore_for
from hardening.rules.dockerfile.build import Build, is_root, read
from hardening.rules.dockerfile.judge import judge
from hardening.rules.options import Limits
from tests.harness.locks import ROOT

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*/Dockerfile"))
COMPOSE = DOCKER / "compose.yaml"
ONCE = ("opensearch-volumes",)
"""Services that run to their end."""

each = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)


def build(path: Path) -> Build:
    return read(path.read_bytes(), Options())


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


each_service = pytest.mark.parametrize("name", services())


def test_both_images_are_there() -> None:
    assert [path.parent.name for path in DOCKERFILES] == ["sample", "toolbox"]


@each
def test_dockerfile_has_nonroot_user(path: Path) -> None:
    user = build(path).user()
    assert user is not None
    assert user.text == "1000:1000"
    assert not is_root(user.text)
    lines = [line.split(" ")[0] for line in path.read_text().splitlines()]
    assert lines.index("USER") < lines.index("ENTRYPOINT")


@each
def test_dockerfile_has_no_root_cmd(path: Path) -> None:
    rules = {found.rule for found in judge(build(path))}
    assert not rules & {"RP-D002", "RP-D003"}
    assert build(path).target.entrypoint is not None


@each
def test_dockerfile_has_no_finding_but_the_missing_digest(path: Path) -> None:
    assert {found.rule for found in judge(build(path))} == {"RP-D005"}


@each
def test_no_sensitive_files_in_image(path: Path) -> None:
    ignore = ignore_for(path, ROOT, ROOT, Limits())
    assert ignore.path == ROOT / ".dockerignore"
    for planted in (
        *(".env", ".git/config", "docker/secrets/ca.key", "docker/secrets/valkey_acl"),
        *("restoreproof.toml", ".restoreproof/keys/signing.key", "requirements/.env"),
        *("backup_lib/.env.local", "hardening/rules/id.pem", "hardening/server.key", "id_rsa"),
        *("tests/fixtures/x", "dump.sql", "restoreproof/__pycache__/x.pyc"),
    ):
        assert ignore.excludes(planted), planted
    for needed in ("tasks.py", "backup_lib/model.py", "requirements/runtime.txt"):
        assert not ignore.excludes(needed), needed


def test_what_is_copied_is_there_and_what_runs_is_executable() -> None:
    scan = scan_files(DOCKER.parent / "docker")
    assert {missed.name for missed in scan.not_scanned} <= {
        f"build context of {path.parent.name}/Dockerfile" for path in DOCKERFILES
    }
    for script in ("toolbox/inv", "toolbox/nightly"):
        assert (DOCKER / script).stat().st_mode & stat.S_IXUSR


def test_nothing_of_ours_blocks_under_the_default_policy() -> None:
    scan = scan_files(ROOT, Options(skipped_folders=Options().skipped_folders | {"tests", "build"}))
    assert scan.not_scanned == ()
    assert {"docker/compose.yaml", "docker/sample/Dockerfile"} <= set(scan.scanned)
    assert [one for one in scan.findings if one.severity.rank >= Severity.HIGH.rank] == []
    known = {(one.rule, one.place.subject) for one in scan.findings if one.rule[3] == "C"}
    unpinned = {("RP-C017", name) for name in services()}
    assert known == unpinned


@each_service
def test_compose_drops_capabilities(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert not service.get("cap_add")
    assert service["security_opt"] == ["no-new-privileges:true"]


@each_service
def test_service_is_limited_checked_and_not_root(name: str) -> None:
    service = services()[name]
    assert not is_root(service["user"])
    assert service["read_only"]
    assert {"mem_limit", "pids_limit", "cpus"} <= service.keys()
    assert service["mem_limit"] == service["memswap_limit"]
    if name not in ONCE:
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_stores_are_kept_off_the_front() -> None:
    stack = yaml.safe_load(COMPOSE.read_text())
    outward = {
        name for name, network in stack["networks"].items() if not (network or {}).get("internal")
    }
    assert outward == {"front"}
    on_front = {name for name, one in services().items() if "front" in one.get("networks", ())}
    assert on_front == {"haproxy"} == {name for name, one in services().items() if "ports" in one}
    stores = {"postgres", "neo4j", "qdrant", "opensearch", "valkey"}
    assert {
        name for name, one in services().items() if "stores" in one.get("networks", ())
    } == stores | {"toolbox"}


def test_secrets_are_files_and_each_is_declared() -> None:
    stack = yaml.safe_load(COMPOSE.read_text())
    used = {
        entry if isinstance(entry, str) else entry["source"]
        for service in services().values()
        for entry in service.get("secrets", ())
    }
    assert used == set(stack["secrets"])
    assert all(set(secret) == {"file"} for secret in stack["secrets"].values())


def test_no_python_lies_beside_the_sdks_name() -> None:
    assert [str(path) for path in DOCKER.rglob("*.py")] == []


def test_passwords_and_certificates_are_made_once_and_for_the_owner(tmp_path: Path) -> None:
    script = tmp_path / "docker" / "secrets.sh"
    script.parent.mkdir()
    script.write_bytes((DOCKER / "secrets.sh").read_bytes())
    contents = []
    for _ in range(2):
        subprocess.run(["sh", script], check=True, capture_output=True)
        made = {p.name: p for p in (script.parent / "secrets").iterdir()}
        contents.append({name: path.read_bytes() for name, path in made.items()})
    assert contents[0] == contents[1]
    assert set(yaml.safe_load(COMPOSE.read_text())["secrets"]) <= set(made)
    kept = [path.stat() for path in made.values() if path.suffix != ".crt"]
    others = 0o037 if os.geteuid() == 0 else 0o077
    assert all(one.st_mode & others == 0 for one in kept)
    assert made["ca.key"].stat().st_mode & 0o077 == 0
    if os.geteuid() == 0:
        assert {one.st_gid for one in kept} == {0, 10001}
    names = [str(made[f"{name}.crt"]) for name in ("ca", "app", "valkey")]
    verify = ["openssl", "verify", "-CAfile", *names]
    subprocess.run(verify, check=True, capture_output=True)


@pytest.mark.parametrize(("code", "healthy"), [(0, True), (2, False)])
def test_the_nightly_job_repeats_what_inv_says(code: int, healthy: bool, tmp_path: Path) -> None:
    (tmp_path / "inv").write_text(f'#!/bin/sh\nprintf "%s " "$@"\nexit {code}\n')
    (tmp_path / "inv").chmod(0o755)
    text = (DOCKER / "toolbox" / "nightly").read_text()
    script = tmp_path / "nightly"
    script.write_text(text.replace("/tmp/nightly.last", str(tmp_path / "last")))
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "EVERY": "0"}
    run = ["sh", str(script)]
    assert subprocess.run([*run, "--check"], env=env, check=False).returncode == 0
    done = subprocess.run(
        [*run, "backup.verify", "--json"], env=env, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (code, "backup.verify --json ")
    later = {**env, "EVERY": "60"}
    assert (subprocess.run([*run, "--check"], env=later, check=False).returncode == 0) == healthy
    (tmp_path / "last").write_text("0 1000000\n")
    assert subprocess.run([*run, "--check"], env=later, check=False).returncode == 1


def test_the_nightly_job_hands_on_what_stops_it(tmp_path: Path) -> None:
    (tmp_path / "inv").write_text("#!/bin/sh\necho up\nexec sleep 1000\n")
    (tmp_path / "inv").chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "EVERY": "60"}
    run = ["sh", str(DOCKER / "toolbox" / "nightly"), "x"]
    with subprocess.Popen(run, env=env, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == "up\n"
        up.terminate()
        assert up.stdout.read() == ""  # at its end only when the job has ended too
    assert up.returncode == 143


def test_the_sample_application_answers_tells_its_health_and_stops_in_order() -> None:
    import http.client
    import json
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = [sys.executable, "-I", str(ROOT / "examples" / "sample_app.py"), "--port", str(port)]
    assert subprocess.run([*app, "--check"], check=False).returncode == 1
    with subprocess.Popen(
        [*app, "--colour", "green", "--drain", "0.1"], stdout=subprocess.PIPE
    ) as up:
        assert up.stdout is not None
        assert json.loads(up.stdout.readline())["event"] == "started"
        while subprocess.run([*app, "--check"], check=False).returncode:
            assert up.poll() is None
        answers = {}
        for path in ("/", "/healthz", "/readyz", "/nowhere", "/metrics"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            answer = connection.getresponse()
            answers[path] = (answer.status, answer.read().decode())
            connection.close()
        up.terminate()
        logged = [json.loads(line) for line in up.stdout]
    assert json.loads(answers["/"][1]) == {"colour": "green", "release": "unknown"}
    assert [status for status, _ in answers.values()] == [200, 200, 200, 404, 200]
    assert 'colour="green",release="unknown",status="404"} 1' in answers["/metrics"][1]
    events = [one["event"] for one in logged]
    assert "draining" in events
    assert events[-1] == "stopped"
    assert up.returncode == 0
