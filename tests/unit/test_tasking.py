"""How a task ends when somebody asks it to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from invoke.exceptions import Exit

from restoreproof.exit_codes import ExitCode
from restoreproof.tasking import Run, execute

LATE = """
import atexit, os, signal, sys
from invoke import Collection, task
from restoreproof_cli.program import RestoreproofProgram

@task
def work(_context):
    print("done")

atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
RestoreproofProgram(Collection(work)).run(["restoreproof", "work"])
"""


def done_just_before_a_request_to_stop(run: Run) -> str:
    os.kill(os.getpid(), signal.SIGINT)
    assert run.cancel.requested
    return "published"


def test_what_is_done_and_stays_is_told_though_somebody_asks_to_stop(
    capsys: pytest.CaptureFixture[str],
) -> None:
    execute("backup.run", done_just_before_a_request_to_stop, render=str, lasting=True)
    assert capsys.readouterr().out == "published\n"


def test_a_judgement_is_not_told_once_somebody_asked_to_stop(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Exit) as ended:
        execute("backup.verify", done_just_before_a_request_to_stop, render=str)
    assert ended.value.code == ExitCode.INTERRUPTED
    assert capsys.readouterr().out == ""


def test_a_request_while_the_result_is_printed_does_not_unmake_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def drawn(result: str) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return result

    execute("backup.verify", lambda _run: "passed", render=drawn)
    assert capsys.readouterr().out == "passed\n"


def test_ctrl_c_while_the_interpreter_winds_up_changes_no_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
