"""The commands of ``docs/FORMAT.md`` do by hand what this software does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from backup_lib.destinations.local import LocalDestination
from restoreproof.signing import SigningKey
from tests.harness.destinations import local_path
from tests.harness.locks import ROOT
from tests.harness.sets import store_set

BLOCK = re.compile(r"^```sh by-hand\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "docs" / "FORMAT.md").read_text())
CONTENT = b"a row\n" * 10_000


@pytest.fixture
def by_hand(tmp_path: Path) -> dict[str, str]:
    """The environment of the commands, around a fresh set."""
    (tmp_path / "backups").mkdir()
    (tmp_path / "work").mkdir()
    key = SigningKey.generate()
    key.public.save(tmp_path / "key.pub")
    destination = LocalDestination(tmp_path / "backups", reserve=0)
    stored = store_set(destination, key, {"database": CONTENT}, store="or ders")
    folder = local_path(tmp_path / "backups", stored.ref, ".")
    return {
        "PATH": os.environ["PATH"],
        "SET": str(folder),
        "KEY": str(tmp_path / "key.pub"),
        "WORK": str(tmp_path / "work"),
    }


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    script = "set -eu\n" + "\n".join(BLOCKS)
    return subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False
    )


def test_a_set_is_checked_by_hand(by_hand: dict[str, str]) -> None:
    done = run(by_hand)

    assert len(BLOCKS) == 2
    assert done.returncode == 0, done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert "or%20ders/database.dump.zst: OK" in done.stdout


def test_a_damaged_artifact_is_found_by_hand(by_hand: dict[str, str]) -> None:
    path = Path(by_hand["SET"]) / "or%20ders" / "database.dump.zst"
    path.write_bytes(path.read_bytes() + b"x")

    assert run(by_hand).returncode != 0


def test_another_key_is_found_by_hand(by_hand: dict[str, str]) -> None:
    Path(by_hand["KEY"]).write_text(SigningKey.generate().public.text + "\n")

    assert run(by_hand).returncode != 0


def test_an_artifact_is_unpacked_by_hand(by_hand: dict[str, str]) -> None:
    path = Path(by_hand["SET"]) / "or%20ders" / "database.dump.zst"

    done = subprocess.run(["zstd", "-d", "-c", path], capture_output=True, check=True)

    assert done.stdout == CONTENT
