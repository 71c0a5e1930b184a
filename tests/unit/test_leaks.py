"""The harness finds what is left behind."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.leaks import no_leftovers


@contextmanager
def caught(kind: str, *folders: Path) -> Iterator[None]:
    with (
        pytest.raises(AssertionError, match=f"left behind:\n{kind}"),
        no_leftovers(*folders, patience=0.1),
    ):
        yield


def test_a_running_child_is_found() -> None:
    with caught("process .*sleep 100"):
        child = subprocess.Popen(["sleep", "100"])
    child.kill()
    child.wait()


def test_an_orphan_with_its_own_session_is_found() -> None:
    with caught("process .*sleep 1"):
        subprocess.run(["sh", "-c", "setsid sleep 1 &"], check=True)


def test_a_child_nobody_waited_for_is_found() -> None:
    with caught("child never waited for: "):
        child = subprocess.Popen(["true"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.wait() == 0


def test_a_thread_is_found() -> None:
    done = threading.Event()
    with caught("thread left over"):
        thread = threading.Thread(target=done.wait, name="left over")
        thread.start()
    done.set()
    thread.join()


def test_a_descriptor_is_found() -> None:
    with caught("descriptor .*null"):
        fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)


def test_a_temporary_file_is_found(tmp_path: Path) -> None:
    with caught("file .*part", tmp_path):
        (tmp_path / ".0123.part").touch()


def test_what_goes_by_itself_is_no_leftover() -> None:
    with no_leftovers():
        threading.Thread(target=time.sleep, args=(0.1,)).start()


def test_an_error_of_the_block_is_not_hidden() -> None:
    def broken() -> None:
        with no_leftovers():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
