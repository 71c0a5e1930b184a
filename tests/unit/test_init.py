from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backup_lib.config import load


def restoreproof(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "restoreproof_cli.main", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("kind", "variable"), [("postgres", "ORDERS_DSN"), ("valkey", "SESSIONS_PASSWORD")]
)
def test_what_init_writes_is_a_valid_configuration(
    kind: str, variable: str, tmp_path: Path
) -> None:
    folder = str(tmp_path / 'a "quoted" folder')
    done = restoreproof(tmp_path, "init", "--store", kind, "--backups", folder)
    assert done.returncode == 0, done.stderr
    assert "inv backup.verify" in done.stdout
    config = load(tmp_path / "restoreproof.toml")
    assert list(config.sets) == ["nightly"]
    assert list(config.destinations) == ["disk"]
    checked = restoreproof(tmp_path, "config.check")
    assert checked.returncode == 0
    assert variable in checked.stderr  # the secret is not there yet, which is said


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "restoreproof.toml"
    path.write_text("mine")
    done = restoreproof(tmp_path, "init")
    assert done.returncode == 4
    assert "is there already" in done.stderr
    assert path.read_text() == "mine"


def test_init_knows_its_kinds(tmp_path: Path) -> None:
    done = restoreproof(tmp_path, "init", "--store", "postgers")
    assert done.returncode == 3
    assert 'did you mean "postgres"?' in done.stderr
    assert list(tmp_path.iterdir()) == []
