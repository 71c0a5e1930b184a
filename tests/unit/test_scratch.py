"""Temporary files of a run: gone at its end, and swept when it was killed; never a living one's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backup_lib.work import Work
from restoreproof.errors import Unreachable
from restoreproof.machine import myself
from restoreproof.scratch import scratch_folder, sweep
from tests.harness.ordinary_user import ROOT

OWNER = """
import sys, time
from pathlib import Path
from restoreproof.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "restore-x").mkdir()
    (folder / "restore-x" / "dump").write_text("rows")
    print(folder, flush=True)
    time.sleep(60)
"""


def owner(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, parent], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert list(tmp_path.iterdir()) == []


def test_work_gets_one_of_its_own(tmp_path: Path) -> None:
    with Work(scratch=tmp_path, jobs=3).own_scratch() as work:
        assert work.scratch.parent == tmp_path
        assert work.jobs == 3
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_owner_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    dead, left = owner(tmp_path)
    living, kept = owner(tmp_path)
    with dead, living:
        try:
            dead.send_signal(signal.SIGKILL)
            dead.wait()
            assert left.exists()
            with scratch_folder(tmp_path) as mine:
                assert set(tmp_path.iterdir()) == {kept, mine}
                assert (kept / "restore-x" / "dump").read_text() == "rows"
        finally:
            living.kill()
    assert sweep(tmp_path) == (kept,)


def test_a_locked_folder_is_left_alone_though_its_process_is_not_seen(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        # as seen from another container, where the process has another number
        elsewhere = folder.rename(tmp_path / "restoreproof-run-4194304-1-x")
        assert sweep(tmp_path) == ()
        elsewhere.rename(folder)


def test_a_number_used_again_does_not_keep_a_folder(tmp_path: Path) -> None:
    left = tmp_path / f"restoreproof-run-{os.getpid()}-{int(myself().started) - 1}-x"
    left.mkdir()
    assert sweep(tmp_path) == (left,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else")
def test_folders_of_others_links_and_files_are_left_alone(tmp_path: Path) -> None:
    names = [f"restoreproof-run-4194304-1-{n}" for n in "abc"]
    foreign, link, file = (tmp_path / name for name in names)
    foreign.mkdir()
    os.chown(foreign, 65534, 65534)
    (tmp_path / "precious").mkdir()
    link.symlink_to("precious")
    file.touch()
    assert sweep(tmp_path) == ()
    assert len(list(tmp_path.iterdir())) == 4


def test_no_such_parent_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="temporary files"), scratch_folder(tmp_path / "away"):
        pass
