"""Verifiers that rehearse in real disposable servers and must leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_lib import BackupVerifier
from backup_lib.model import RungResult
from backup_lib.sandboxes.base import Sandbox
from backup_lib.sandboxes.process import ProcessSandbox


@pytest.fixture
def process_sandbox(sandbox_folder: Path) -> Sandbox:
    """One whose folder must end empty."""
    return ProcessSandbox(folder=sandbox_folder)


@pytest.fixture
def verifier(process_sandbox: Sandbox, tmp_path: Path) -> Iterator[BackupVerifier]:
    """One that tells nobody, and whose scratch folder must end empty."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    yield BackupVerifier(sandbox=process_sandbox, channels={}, scratch=scratch)
    assert list(scratch.iterdir()) == []


def last(verifier: BackupVerifier) -> RungResult:
    """What it judged last."""
    assert verifier.last is not None
    return verifier.last
