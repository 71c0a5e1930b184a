"""Programs of scanners that are large, or no Python: ``.scanners``, made from their own lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.locks import ROOT

FOLDER = ROOT / ".scanners"
LOCK = ROOT / "requirements" / "scanners.txt"
_MADE_FROM = FOLDER / "made-from.txt"
_TIME = 600
"""Seconds that fetching them may take: 75 MB."""


def are_made() -> bool:
    """Whether they are there, and from the lock as it is now."""
    return _MADE_FROM.is_file() and _MADE_FROM.read_bytes() == LOCK.read_bytes()


def make() -> str:
    """Make them, where they are not made. A copy of the lock is written last.

    Returns:
        why that was not possible; empty where they are there.
    """
    if are_made():
        return ""
    shutil.rmtree(FOLDER, ignore_errors=True)
    python = str(FOLDER / "bin" / "python")
    uv = shutil.which("uv")
    steps = [[sys.executable, "-m", "venv", str(FOLDER)]]
    if uv:
        steps += [[uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r"]]
    else:
        steps += [[python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r"]]
    steps[-1].append(str(LOCK))
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=_TIME, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            return (done.stderr.strip() or done.stdout.strip()).splitlines()[-1]
    shutil.copy(LOCK, _MADE_FROM)
    return ""


def path() -> str:
    """PATH with them in front."""
    return f"{FOLDER / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


@pytest.fixture
def scanner_tools(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the programs, in front of PATH; ``./nox -s tests`` makes them."""
    if not are_made():
        pytest.skip("the programs of scanners are not there: ./nox -s tests makes them")
    monkeypatch.setenv("PATH", path())
    return FOLDER / "bin"
