"""The checker of all fault tests finds what it is there to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.aftermath import Aftermath
from tests.harness.fault_site import FaultSite, of_kinds

pytestmark = pytest.mark.faults


@pytest.fixture
def before(fault_site: FaultSite) -> Aftermath:
    fault_site.back_up()
    return Aftermath(fault_site)


def newest(site: FaultSite) -> Path:
    return max((site.backups / "nightly").iterdir())


def test_a_sound_site_passes(before: Aftermath) -> None:
    before.check()
    before.recover()


@of_kinds("postgres")
def test_a_published_set_without_its_artifact_is_found(fault_site: FaultSite) -> None:
    before = Aftermath(fault_site)
    fault_site.back_up()
    next(newest(fault_site).rglob("*.zst")).unlink()
    with pytest.raises(AssertionError, match="not complete"):
        before.check()


@of_kinds("postgres")
def test_a_manifest_cut_short_is_found(fault_site: FaultSite) -> None:
    before = Aftermath(fault_site)
    fault_site.back_up()
    manifest = next(newest(fault_site).glob("manifest*"))
    manifest.write_bytes(manifest.read_bytes()[:-9])
    with pytest.raises(AssertionError, match="not readable"):
        before.check()


@of_kinds("postgres")
def test_a_changed_older_set_is_found(fault_site: FaultSite, before: Aftermath) -> None:
    artifact = next(newest(fault_site).rglob("*.zst"))
    artifact.write_bytes(artifact.read_bytes() + b"x")
    with pytest.raises(AssertionError, match="harmed"):
        before.check()


@of_kinds("postgres")
@pytest.mark.parametrize(
    "place", ["backups/nightly/.x.part", "tmp/dump-1", "state/.verified.guard", "state/locks/x"]
)
def test_a_leftover_is_found(
    fault_site: FaultSite, before: Aftermath, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.harness.aftermath._PATIENCE", 0.1)
    (fault_site.folder / place).touch()
    with pytest.raises(AssertionError, match="left behind"):
        before.check_clean()


@of_kinds("postgres")
def test_a_process_left_is_found(
    fault_site: FaultSite, before: Aftermath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.harness.aftermath._PATIENCE", 0.1)
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(argv, cwd=fault_site.folder) as left:
        try:
            with pytest.raises(AssertionError, match=f"process {left.pid}"):
                before.check_clean()
        finally:
            left.kill()
