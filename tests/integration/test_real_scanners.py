"""The real tools over small samples: what the truth table takes for granted about their reports."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hardening.kinds import SCANNERS
from hardening.model import Cause, Scan
from hardening.scanners.base import Circumstances, Request
from hardening.services.normalise import issues_of
from hardening.services.rule_map import GROUPS
from hardening.services.sbom import write_sbom
from restoreproof.errors import Inconclusive

EVERY_RULE = """\
FROM debian:latest AS a
MAINTAINER x
ADD x.txt /x
EXPOSE 99999
WORKDIR rel
RUN sudo true
COPY a b c
RUN cd /tmp && ls
RUN wget http://x
RUN curl http://x
RUN yum install -y x
RUN dnf install -y x
RUN zypper install -y x
RUN apt-get install foo
RUN apk add foo
COPY --from=a /x /y
ENTRYPOINT ["a"]
ENTRYPOINT ["b"]
CMD ["a"]
CMD ["b"]
HEALTHCHECK CMD ["a"]
HEALTHCHECK CMD ["b"]
USER root
FROM debian:12 AS a
ENV API_TOKEN=abc
"""
EVERY_SERVICE = """\
services:
  web:
    image: nginx:1.27
    privileged: true
    user: root
    network_mode: host
    pid: host
    environment:
      - DB_PASSWORD=hunter2
    security_opt: [seccomp=unconfined]
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock
"""
WORKFLOW = """\
on: pull_request_target
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: echo ${{ github.event.pull_request.title }}
"""
SAMPLES: Mapping[str, tuple[str, str, str]] = {
    "bandit": ("a.py", "import subprocess\nsubprocess.call(x, shell=True)\n", "B602"),
    "hadolint": ("Dockerfile", "FROM debian:latest\n", "DL3007"),
    "trivy": ("Dockerfile", "FROM debian:12\nUSER root\n", "DS-0002"),
    "compose-lint": (
        "compose.yaml",
        "services:\n  web:\n    image: nginx:1.27\n    privileged: true\n",
        "CL-0002",
    ),
    "zizmor": (".github/workflows/a.yml", WORKFLOW, "template-injection"),
    "check-jsonschema": (
        ".github/workflows/a.yml",
        WORKFLOW,
        "custom.github-workflows-require-timeout",
    ),
}
BROKEN: Mapping[str, tuple[str, str]] = {
    "bandit": ("b.py", "def (\n"),
    "hadolint": ("Dockerfile", "FROM\n"),
    "trivy": ("Dockerfile", "FROM\nRUN"),
    "compose-lint": ("compose.yaml", "services: ["),
    "zizmor": (".github/workflows/b.yml", "on: [push\n"),
    "check-jsonschema": (".github/workflows/b.yml", "on: [push\n"),
}


def scan(root: Path, kind: str, *, limit: float = 120.0, **settings: str) -> Scan:
    scratch = root.parent / f"scratch-{kind}"
    scratch.mkdir()
    plugin = SCANNERS.load(kind)
    chosen = plugin.settings().model_validate(settings)
    scanner = plugin.from_settings(chosen, Circumstances(kind, limit=limit))
    return scanner.scan(Request(root=root, scratch=scratch))


def put(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def yaml_bomb() -> str:
    """Aliases of aliases: some lines that mean 9 ** 12 elements."""
    lines = ["a0: &a0 [x, x]\n"]
    for number in range(1, 13):
        aliases = ", ".join([f"*a{number - 1}"] * 9)
        lines.append(f"a{number}: &a{number} [{aliases}]\n")
    return "".join(lines)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.mark.usefixtures("scanner_tools")
@pytest.mark.parametrize("kind", SAMPLES)
def test_a_real_finding_is_read(root: Path, kind: str) -> None:
    name, text, rule = SAMPLES[kind]
    put(root, name, text)
    done = scan(root, kind)
    assert done.not_scanned == ()
    assert done.scanned == (name,)
    (found,) = [one for one in done.findings if one.rule == rule]
    assert found.place.path == name
    assert found.said or kind == "check-jsonschema"


@pytest.mark.usefixtures("scanner_tools")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_the_real_tool_cannot_read_is_not_scanned(root: Path, kind: str) -> None:
    name, text = BROKEN[kind]
    put(root, name, text)
    done = scan(root, kind)
    assert done.scanned == ()
    assert name in {gap.name for gap in done.not_scanned}


@pytest.mark.usefixtures("scanner_tools")
@pytest.mark.parametrize("kind", ["bandit", "hadolint", "compose-lint", "trivy"])
def test_its_own_configuration_and_remarks_cannot_switch_it_off(root: Path, kind: str) -> None:
    name, text, rule = SAMPLES[kind]
    put(root, name, text.replace("shell=True)", "shell=True)  # nosec"))
    put(root, ".hadolint.yaml", "ignored: [DL3007]\n")
    put(root, ".compose-lint.yml", "rules:\n  CL-0002:\n    enabled: false\n")
    put(root, ".trivyignore", "DS-0002\n")
    put(root, "trivy.yaml", "severity: [LOW]\n")
    if kind == "hadolint":
        put(root, name, f"# hadolint ignore=DL3007\n{text}")
    done = scan(root, kind)
    assert rule in {one.rule for one in done.findings}


@pytest.mark.usefixtures("scanner_tools")
def test_every_pair_of_the_rule_map_meets_on_the_real_tools(root: Path) -> None:
    put(root, "Dockerfile", EVERY_RULE)
    put(root, "compose.yaml", EVERY_SERVICE)
    kinds = ("trivy", "hadolint", "compose-lint", "restoreproof")
    met: dict[str, set[str]] = {}
    for issue in issues_of((one for kind in kinds for one in scan(root, kind).findings), {}):
        met.setdefault(issue.rule, set()).update(one.tool for one in issue.findings)
    # no HEALTHCHECK, and DL3057, which is off by default, are another file's business
    for name in set(GROUPS) - {"workflow-injection", "no-healthcheck"}:
        assert met[name] == {tool for tool, _ in GROUPS[name].rules}, name


@pytest.mark.usefixtures("scanner_tools")
def test_a_secret_is_found_and_not_repeated(root: Path) -> None:
    tail = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    put(root, "settings.ini", f"token = ghp_{tail}\n")
    done = scan(root, "trivy", mode="secret")
    assert [one.rule for one in done.findings] == ["github-pat"]
    assert tail not in repr(done)


@pytest.mark.usefixtures("scanner_tools")
def test_a_password_in_a_dockerfile_is_named_not_quoted(root: Path) -> None:
    put(root, "Dockerfile", "FROM debian:12\nENV API_TOKEN=hunter2-planted\nARG PASSWORD hunter2\n")
    for kind in ("hadolint", "trivy"):
        done = scan(root, kind)
        assert done.findings != ()
        assert "hunter2" not in repr(done)


@pytest.mark.usefixtures("scanner_tools")
def test_a_hostile_tree_is_scanned_in_bounded_time_and_nothing_leaves_it(root: Path) -> None:
    put(root, "Dockerfile", "FROM debian:12\n" + "RUN true\n" * 5)
    put(root, "new\nline/Dockerfile", "FROM debian:12\n")
    put(root, "\x1b[31mred/Dockerfile", "FROM debian:12\n")
    put(root, "bomb/compose.yaml", yaml_bomb())
    put(root, ".github/workflows/bomb.yml", f"{yaml_bomb()}on: push\njobs: *a12\n")
    put(root, "big/Dockerfile", "FROM debian:12\n" + "RUN true\n" * 200_000)
    outside = put(root.parent, "outside/Dockerfile", "FROM debian:latest\n")
    (root / "link").symlink_to(outside.parent)
    (root / "Dockerfile.link").symlink_to(outside)
    begun = time.monotonic()
    for kind in ("hadolint", "compose-lint", "trivy", "check-jsonschema", "zizmor"):
        done = scan(root, kind, limit=20.0)
        assert done.not_scanned != ()
        assert not [one for one in done.findings if "outside" in one.place.path]
        assert not [name for name in done.scanned if "link" in name]
    assert time.monotonic() - begun < 240  # five tools, most of them with a control before


@pytest.mark.usefixtures("scanner_tools")
def test_trivy_times_out_on_a_large_tree(root: Path) -> None:
    put(root, "a.txt", "x" * 1000)
    done = scan(root, "trivy", mode="secret", limit=0.001)
    assert done.scanned == ()
    assert done.not_scanned[0].cause is Cause.TIME
    assert 'limit = "' in done.not_scanned[0].hint


@pytest.mark.usefixtures("scanner_tools")
def test_a_bill_of_materials_names_what_the_locks_pin(root: Path) -> None:
    put(root, "requirements/runtime.txt", "rich==15.0.0\nsh==2.2.2\n")
    bill = write_sbom(root, root.parent / "sbom.json")
    document = json.loads(bill.path.read_text())
    assert bill.components == 2
    assert {"pkg:pypi/rich@15.0.0", "pkg:pypi/sh@2.2.2"} <= {
        one.get("purl") for one in document["components"]
    }


@pytest.mark.usefixtures("scanner_tools")
def test_an_empty_bill_is_no_bill(root: Path) -> None:
    with pytest.raises(Inconclusive, match="names anything"):
        write_sbom(root, root.parent / "sbom.json")
    assert not (root.parent / "sbom.json").exists()
