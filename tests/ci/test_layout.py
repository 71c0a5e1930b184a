"""What every module and package owes, whoever writes it."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests.harness.locks import ROOT, pyproject

PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/py.typed"))
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FRAGMENTS = sorted(
    path for path in (ROOT / "changelog.d").iterdir() if path.name != "template.md.jinja"
)


def test_every_package_is_typed_linted_shipped_and_layered() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    table = pyproject()["tool"]
    assert folders == set(PACKAGES)
    assert {*PACKAGES, "scripts"} <= set(table["mypy"]["files"])
    assert set(PACKAGES) == set(table["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert set(PACKAGES) == set(table["importlinter"]["root_packages"])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_says_what_it_is_for_and_stays_small(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 500


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_changelog_fragment_is_one_readable_entry(path: Path) -> None:
    _, kind, suffix = path.name.split(".")
    assert kind in {entry["directory"] for entry in pyproject()["tool"]["towncrier"]["type"]}
    assert suffix == "md"
    text = path.read_text().strip()
    assert text.endswith(".")
    assert "\n\n" not in text


@pytest.mark.parametrize("script", [".ci/run", ".ci/setup"])
def test_ci_script_parses_and_stops_at_the_first_failure(script: str) -> None:
    subprocess.run(["bash", "-n", ROOT / script], check=True)
    assert "set -euo pipefail" in (ROOT / script).read_text()


def test_ci_runs_the_sessions_bounded_and_without_input() -> None:
    calls = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if "./nox" in line]
    assert len(calls) >= 2
    assert all(call.startswith("timeout ") and call.endswith("</dev/null") for call in calls)
