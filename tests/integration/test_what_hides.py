"""What hides from the tools by where it lies, or by a remark beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardening.kinds import SCANNERS
from hardening.model import Scan
from hardening.scanners.base import Circumstances, Request

TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"


def scan(tmp_path: Path, kind: str, **settings: str) -> Scan:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    plugin = SCANNERS.load(kind)
    chosen = plugin.settings().model_validate(settings)
    scanner = plugin.from_settings(chosen, Circumstances(kind, limit=120.0))
    return scanner.scan(Request(root=tmp_path / "root", scratch=scratch))


def put(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "root" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.usefixtures("scanner_tools")
def test_a_secret_is_found_in_tests_examples_and_documents_as_well(tmp_path: Path) -> None:
    names = ("README.md", "tests/a.ini", "examples/b.txt", "docs/c.md", "usr/share/d.txt")
    for name in names:
        put(tmp_path, name, f"token = {TOKEN}\n")
    done = scan(tmp_path, "trivy", mode="secret")
    assert {one.place.path for one in done.findings} == set(names)
    assert done.not_scanned == ()


@pytest.mark.usefixtures("scanner_tools")
@pytest.mark.parametrize("remark", ["#trivy:ignore:DS-0002", "# trivy:ignore:*", "#tfsec:ignore:*"])
def test_a_remark_that_switches_trivy_off_is_no_pass(tmp_path: Path, remark: str) -> None:
    put(tmp_path, "Dockerfile", f"FROM debian:12\n{remark}\nUSER root\nRUN sudo true\n")
    done = scan(tmp_path, "trivy")
    assert done.scanned == ()
    assert [(one.name, "line 2" in one.reason) for one in done.not_scanned] == [
        ("Dockerfile", True)
    ]
    assert "DS-0010" in {one.rule for one in done.findings}  # the rest is told all the same


COMPOSITE = """\
name: greet
description: says hello
runs:
  using: composite
  steps:
    - run: echo ${{ github.event.pull_request.title }}
      shell: bash
"""


@pytest.mark.usefixtures("scanner_tools")
def test_actions_are_looked_at_wherever_they_lie(tmp_path: Path) -> None:
    names = (".github/actions/greet/action.yml", "action.yaml", "tools/greet/action.yml")
    for name in names:
        put(tmp_path, name, COMPOSITE)
    put(tmp_path, "deploy/reaction.yml", "a: 1\n")
    done = scan(tmp_path, "zizmor")
    assert done.scanned == tuple(sorted(names))
    assert done.not_scanned == ()
    injected = [one.place.path for one in done.findings if one.rule == "template-injection"]
    assert set(injected) == set(names)


DOCKERFILES = {
    *("Dockerfile_prod", "Dockerfile-prod", "DOCKERFILE.x", "Dockerfile2", "a.b/Dockerfile.a.b"),
    *("prod-dockerfile", "Dockerfile.go", "dockerfile", "sub/Dockerfile.,[a] b{1}$"),
    *("Dockerfile_\u00e9", "odd/Dockerfile"),
}


@pytest.mark.usefixtures("scanner_tools")
@pytest.mark.parametrize("kind", ["trivy", "hadolint", "restoreproof"])
def test_dockerfiles_are_looked_at_whatever_they_are_called(kind: str, tmp_path: Path) -> None:
    for name in DOCKERFILES:
        put(tmp_path, name, "FROM debian:latest\nUSER root\n")
    done = scan(tmp_path, kind)
    assert done.not_scanned == ()
    assert set(done.scanned) == DOCKERFILES
    assert {one.place.path for one in done.findings} == DOCKERFILES


COMPOSE_FILES = (
    *("prod.compose.yml", "docker-compose_prod.yml", "docker-compose.YML", "stack.yml"),
    *("docker-compose-prod.yml", "alone/compose.override.yml", "compose.prod.override.yml"),
)


@pytest.mark.usefixtures("scanner_tools")
@pytest.mark.parametrize("kind", ["compose-lint", "restoreproof"])
def test_compose_files_are_looked_at_whatever_they_are_called(kind: str, tmp_path: Path) -> None:
    for name in COMPOSE_FILES:
        put(tmp_path, name, "services:\n  a:\n    image: x\n    privileged: true\n")
    put(tmp_path, "config/services.yaml", "services:\n  App\\A: {class: A}\n")
    done = scan(tmp_path, kind)
    assert set(done.scanned) == set(COMPOSE_FILES)
    assert {one.place.path for one in done.findings} == set(COMPOSE_FILES)


@pytest.mark.usefixtures("scanner_tools")
@pytest.mark.parametrize("kind", ["compose-lint", "restoreproof"])
@pytest.mark.parametrize("name", ["compose.override.yaml", "compose.override.yml"])
def test_an_override_is_judged_by_all(kind: str, name: str, tmp_path: Path) -> None:
    put(tmp_path, "compose.yaml", "services:\n  a:\n    image: x\n")
    put(tmp_path, name, "services:\n  a:\n    privileged: true\n")
    done = scan(tmp_path, kind)
    assert {"CL-0002", "RP-C003"} & {one.rule for one in done.findings}
