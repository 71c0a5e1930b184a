from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.locks import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# a step installs, or calls what anybody can call on a laptop
ALLOWED_COMMAND = re.compile(
    r'(sudo env "PATH=\$PATH" )?bash \.ci/(setup|run)( #.*)?|\./(nox|inv)( [\w./=:-]+)*'
)
each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def load(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job["steps"]]


def test_there_is_a_workflow() -> None:
    assert [path.name for path in WORKFLOWS] != []


@each
def test_a_step_only_installs_or_calls_a_session(path: Path) -> None:
    commands = [line for step in steps(path) for line in step.get("run", "").splitlines()]
    assert commands != []
    assert [line for line in commands if not ALLOWED_COMMAND.fullmatch(line.strip())] == []


@each
def test_actions_are_pinned_to_a_commit_with_its_release_beside_it(path: Path) -> None:
    uses = re.findall(r"^\s*(?:- )?uses: *(.*)$", path.read_text(), re.MULTILINE)
    assert len(uses) == sum("uses" in step for step in steps(path))
    loose = [
        use for use in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)
    ]
    assert loose == []


@each
def test_permissions_are_least(path: Path) -> None:
    document = load(path)
    assert document["permissions"] == {}
    assert "pull_request_target" not in document[True]  # YAML 1.1 reads the key `on` as true
    for job in document["jobs"].values():
        writes = {name for name, level in job["permissions"].items() if level != "read"}
        assert writes <= {"security-events"}


@each
def test_runs_end_and_do_not_pile_up(path: Path) -> None:
    document = load(path)
    assert document["concurrency"]["group"]
    assert all(0 < job["timeout-minutes"] <= 60 for job in document["jobs"].values())


def test_ci_covers_every_python_that_the_package_names() -> None:
    classifiers = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', classifiers)
    jobs = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert jobs["check"]["strategy"]["matrix"]["python"] == named
