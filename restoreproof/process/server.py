"""A long-running child, such as a server, with its output in a file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from restoreproof.process.diagnostics import TAIL_BYTES, Tail
from restoreproof.process.group import TERM_GRACE, Group
from restoreproof.process.spawn import Command, spawn


class Child:
    """A running child. Made by :func:`start`."""

    def __init__(self, group: Group, program: str, log: Path) -> None:
        self._group = group
        self._code: int | None = None
        self.program = program
        self.log = log
        self.pid = group.pid

    def poll(self) -> int | None:
        """Its return code (minus the signal's number), or None while it runs.

        When it is found ended, whatever it left running is killed.
        """
        if self._code is None and self._group.exited():
            self._code = self._group.kill()
        return self._code

    def wait(self, seconds: float) -> int | None:
        """Wait for its end, ``seconds`` at most; its return code, or None while it runs."""
        if self._code is None:
            self._group.wait(seconds)
        return self.poll()

    def stop(self, grace: float = TERM_GRACE, *, first: int = signal.SIGTERM) -> int:
        """Ask it with the signal ``first``, kill what is left after ``grace`` seconds.

        Returns:
            Its return code. Calling it again is harmless.
        """
        if self._code is None:
            self._code = self._group.end(grace=grace, first=first)
        return self._code

    def log_tail(self) -> str:
        """The last 64 KiB of its output, safe to print."""
        tail = Tail()
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES - 1))
            tail.add(file.read(TAIL_BYTES + 1))
        return tail.text()


@contextmanager
def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    title: str = "",
    stop_signal: int = signal.SIGTERM,
    grace: float = TERM_GRACE,
) -> Iterator[Child]:
    """Start a child that runs until it is stopped; it is stopped at the end in every case.

    Args:
        argv: program and arguments; no shell.
        env: the *whole* environment; start from :func:`clean_env`.
        log: file that its stdout and stderr are appended to, made with mode 0600.
        cwd: the folder to start in.
        pass_fds: descriptors that stay open in the child.
        title: what messages call it; else the program's file name.
        stop_signal: the signal that asks it to end.
        grace: seconds between asking and killing.

    Raises:
        ProgramMissing, UsageError, Unreachable: it could not be started.
    """
    command = Command(argv, env, cwd, pass_fds, title)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        process = spawn(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    finally:
        os.close(output)
    child = Child(Group(process, command.program), command.program, log)
    try:
        yield child
    finally:
        child.stop(grace, first=stop_signal)
