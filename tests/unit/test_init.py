from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backup_lib.config import load
from restoreproof_cli.init import called_as
from tests.harness.locks import ROOT


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


def test_what_comes_next_is_called_as_init_was(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "requirements" / "dev.txt", venv / "made-from.txt")
    python = venv / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    folder = tmp_path / "a checkout"
    folder.mkdir()
    (folder / "inv").symlink_to(ROOT / "inv")
    done = subprocess.run(
        ["./inv", "init"],
        cwd=folder,
        env={**os.environ, "RESTOREPROOF_VENV": str(venv)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps = [line.strip() for line in done.stdout.splitlines()[2:]]
    assert steps == [
        "mkdir -p -m 700 backups",
        "./inv backup.keys --make",
        "./inv backup.doctor",
        "./inv backup.run",
        "./inv backup.verify",
    ]
    assert "./inv config.check" in (folder / "restoreproof.toml").read_text()


def test_a_program_is_named_as_somebody_would_type_it(tmp_path: Path) -> None:
    program = tmp_path / "restoreproof"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    on_path, elsewhere = {"PATH": str(tmp_path)}, {"PATH": "/nowhere"}
    assert called_as(str(program), on_path) == "restoreproof"
    assert called_as(str(program), elsewhere) == str(program)
    assert called_as("./bin/my restoreproof", elsewhere) == "'./bin/my restoreproof'"
    assert called_as("/lib/restoreproof_cli/main.py", elsewhere) == "inv"
    told = {"RESTOREPROOF_COMMAND": "./inv", **elsewhere}
    assert called_as("/lib/restoreproof_cli/main.py", told) == "./inv"


def test_init_knows_its_kinds(tmp_path: Path) -> None:
    done = restoreproof(tmp_path, "init", "--store", "postgers")
    assert done.returncode == 3
    assert 'did you mean "postgres"?' in done.stderr
    assert list(tmp_path.iterdir()) == []
