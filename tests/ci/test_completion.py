"""Completion in bash: of the tasks, and of a task's options."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = shutil.which("bash") or "/bin/bash"
PROGRAM = str(Path(sys.executable).with_name("restoreproof"))
SCRIPT = """
PATH=/usr/bin:/bin
source <("$PROGRAM" --print-completion-script bash)
COMP_WORDS=("$PROGRAM" "$@")
_complete_restoreproof "$PROGRAM" "${@: -1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def candidates(*words: str) -> set[str]:
    """What bash offers, where the program is called by its path and is not on PATH."""
    done = subprocess.run(
        [BASH, "-c", SCRIPT, "bash", *words],
        env={"PROGRAM": PROGRAM},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_tasks_are_completed() -> None:
    assert candidates("backup.ver") == {"backup.verify"}


def test_options_of_the_task_are_completed() -> None:
    assert candidates("backup.restore", "--o") == {"--only", "--overwrite"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_script(shell: str) -> None:
    done = subprocess.run(
        [PROGRAM, "--print-completion-script", shell],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert " --complete -- " in done.stdout
