"""The rules of our own behind the tasks, and in one report with the scanners."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardening.rules.catalogue import RULES
from hardening.services.explain import explain
from tests.integration.test_harden_tasks import call

NOWHERE = "tcp://127.0.0.1:9"
OPEN = "services:\n  web:\n    image: nginx:1.27\n    privileged: true\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "restoreproof.toml").write_text('[scanner.rules]\nkind = "restoreproof"\n')
    return tmp_path


def test_files_are_judged_in_one_report_with_the_scanners(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM debian:12\nUSER root\n")
    done = call(folder, "harden.scan", "--json")
    assert done.returncode == 1
    (scan,) = json.loads(done.stdout)["result"]["judgement"]["scans"]
    assert scan["tool"] == "restoreproof"
    assert scan["scanned"] == ["Dockerfile"]
    assert scan["version"]
    assert {one["rule"] for one in scan["findings"]} <= set(RULES)


def test_a_variable_that_a_compose_file_demands_can_be_given(folder: Path) -> None:
    (folder / "compose.yaml").write_text("services: {a: {image: x, user: '${WHO:?is it}'}}\n")
    assert "WHO is demanded" in call(folder, "harden.scan").stdout
    with (folder / "restoreproof.toml").open("a") as file:
        file.write('environment = { WHO = "root" }\n')
    done = call(folder, "harden.scan")
    assert done.returncode == 1
    assert "RP-C001" in done.stdout


def test_compose_files_are_judged_as_they_are_merged(folder: Path) -> None:
    (folder / "compose.yaml").write_text(OPEN)
    done = call(folder, "harden.compose", "--file", "compose.yaml", "--json")
    assert done.returncode == 1
    tools = {one["tool"] for one in json.loads(done.stdout)["result"]["judgement"]["scans"]}
    assert tools == {"restoreproof", "compose-lint"}
    assert call(folder, "harden.compose", "--file", "nowhere.yaml").returncode == 3
    assert call(folder, "harden.compose").returncode == 3


@pytest.mark.parametrize("argv", [("harden.live",), ("harden.image", "x", "--offline")])
def test_without_an_engine_nothing_is_judged(folder: Path, argv: tuple[str, ...]) -> None:
    done = call(folder, *argv, DOCKER_HOST=NOWHERE)
    assert done.returncode == 2
    assert "the Docker engine does not answer" in done.stdout


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_explained_offline(rule: str) -> None:
    found = explain(rule)
    assert found.why
    assert found.fix
    assert found.references
