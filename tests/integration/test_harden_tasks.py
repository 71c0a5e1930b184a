"""The tasks as somebody types them: exit codes, files, what is said first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.locks import ROOT

BANDIT = '[scanner.bandit]\nkind = "bandit"\n'


def call(folder: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    keep = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "restoreproof_cli.main", *argv],
        cwd=folder,
        env={**keep, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("import subprocess\nsubprocess.call('ls')\n")
    (tmp_path / "restoreproof.toml").write_text(BANDIT)
    return tmp_path


def bad(folder: Path) -> None:
    (folder / "a.py").write_text("import subprocess\nsubprocess.call(x, shell=True)\n")


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    parsed = json.loads(done.stdout)
    assert isinstance(parsed, dict)
    return parsed


def test_clean_is_0_findings_are_1_could_not_judge_is_2_wrong_is_3(folder: Path) -> None:
    assert call(folder, "harden.scan").returncode == 0
    bad(folder)
    assert call(folder, "harden.scan").returncode == 1
    (folder / "a.py").write_text("def (\n")
    done = call(folder, "harden.scan")
    assert done.returncode == 2
    assert done.stdout.startswith("not judged  bandit: a.py syntax error")
    assert call(folder, "harden.scan", "--only", "bandid").returncode == 3
    (folder / "restoreproof.toml").write_text("[hardening]\nblok = 1\n")
    assert call(folder, "harden.scan").returncode == 3


def test_nothing_to_look_at_is_not_clean(folder: Path) -> None:
    (folder / "a.py").unlink()
    done = call(folder, "harden.scan", "--json")
    assert done.returncode == 2
    assert document(done)["verdict"] == "inconclusive"


def test_reports_are_written_whatever_the_verdict(folder: Path) -> None:
    bad(folder)
    done = call(
        folder,
        *("harden.scan", "--json", "--sarif", "sarif", "--markdown", "summary.md"),
        *("--output", "result.json"),
    )
    assert done.returncode == 1
    assert json.loads((folder / "result.json").read_text())["verdict"] == "failed"
    assert document(done)["result"]["judgement"]["verdict"] == "failed"
    assert [path.name for path in (folder / "sarif").iterdir()] == ["bandit.sarif"]
    assert "B602" in (folder / "summary.md").read_text()


def test_a_baseline_lets_the_old_pass_and_not_the_new(folder: Path) -> None:
    bad(folder)
    (folder / "restoreproof.toml").write_text(f'[hardening]\nbaseline = "base.json"\n{BANDIT}')
    assert call(folder, "harden.scan").returncode == 3  # there is none yet
    assert call(folder, "harden.scan", "--write-baseline").returncode == 1
    assert call(folder, "harden.scan").returncode == 0
    with (folder / "a.py").open("a") as file:
        file.write("subprocess.call(y, shell=True)\n")
    assert call(folder, "harden.scan").returncode == 1


def test_offline_says_not_judged_first_and_blocks_in_ci(folder: Path) -> None:
    (folder / "requirements.txt").write_text("rich==15.0.0\n")
    (folder / "restoreproof.toml").write_text(f'{BANDIT}[scanner.locks]\nkind = "pip-audit"\n')
    laptop = call(folder, "harden.scan", "--offline")
    assert laptop.returncode == 0
    assert laptop.stdout.startswith("not judged  pip-audit: no vulnerability service was asked")
    assert "not judged: pip-audit" in laptop.stdout.splitlines()[-1]
    assert call(folder, "harden.scan", "--offline", CI="true").returncode == 2
    alone = call(folder, "harden.scan", "--offline", "--only", "locks")
    assert alone.returncode == 2


@pytest.mark.parametrize("name", ["DS-0002", "dl3002", "root-user", "CIS-4.1"])
def test_a_rule_is_explained_by_any_of_its_names(folder: Path, name: str) -> None:
    done = call(folder, "harden.explain", name)
    assert done.returncode == 0
    assert done.stdout.startswith("root-user  The last user of the image is root.")


def test_an_unknown_rule_is_a_wrong_call(folder: Path) -> None:
    done = call(folder, "harden.explain", "DS-9999")
    assert done.returncode == 3
    assert "nothing is known here" in done.stderr
