"""The demo that stays for playing: its report comes first, and Ctrl-C ends it as Enter does."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = [sys.executable, "-P", "-m", "restoreproof_cli.main", "demo", "--keep"]
PROMPT = b"Enter ends the servers and removes everything: "


def until(terminal: int, end: bytes) -> bytes:
    seen = b""
    while end not in seen:
        seen += os.read(terminal, 4096)
    return seen


@pytest.mark.parametrize("ending", ["Enter", "Ctrl-C"])
def test_a_demo_that_is_kept_is_there_until_somebody_ends_it(ending: str) -> None:
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [*DEMO, "--quiet"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "500", "NO_COLOR": "1"},  # whole paths
        ) as demo:
            shown = until(ours, PROMPT).decode()
            folder = Path(re.findall(r"configuration and backups: (\S+)", shown)[0])
            try:
                assert "then damaged, and caught" in shown
                assert (folder / "restoreproof.toml").exists()
                assert list(folder.rglob(re.findall(r"proof: \S+/(\S+json)", shown)[0]))
            finally:
                if ending == "Enter":
                    os.write(ours, b"\n")
                else:
                    demo.send_signal(signal.SIGINT)
                code = demo.wait(60)
        assert code == 0
        assert not folder.exists()
    finally:
        os.close(ours)
        os.close(theirs)


def test_nobody_can_end_a_demo_that_is_kept_without_a_terminal() -> None:
    done = subprocess.run(
        DEMO, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 3
    assert "no terminal" in done.stderr
