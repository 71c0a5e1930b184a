"""How a child process can fail us. None of these messages contains the argument list."""

from __future__ import annotations

import signal as signals

from restoreproof.errors import Unreachable, UsageError
from restoreproof.process.diagnostics import last_meaningful_line


class ProgramMissing(UsageError):
    """A program cannot be started: not found, or not executable."""

    def __init__(self, program: str, reason: str, *, hint: str = "") -> None:
        super().__init__(
            f"{program} cannot be started: {reason}",
            hint=hint or f"install {program}, or put the folder it is in on PATH",
        )
        self.program = program


class ChildFailed(Unreachable):
    """A child ended, and not well.

    Attributes:
        program: what ran, without its arguments.
        returncode: its exit code, or minus the signal's number.
        signal: the signal that ended it, where one did.
        stderr: the last 64 KiB of what it said, safe to print.
    """

    def __init__(self, program: str, returncode: int, stderr: str, *, hint: str = "") -> None:
        self.program = program
        self.returncode = returncode
        self.signal = -returncode if returncode < 0 else None
        self.stderr = stderr
        reason = last_meaningful_line(stderr, program)
        super().__init__(
            f"{program} {_ending(returncode)}" + (f": {reason}" if reason else ""),
            hint=hint or _hint(self.signal),
        )


class ChildStalled(Unreachable):
    """A child made no progress for too long and was ended."""

    def __init__(self, program: str, seconds: float, stderr: str) -> None:
        self.program = program
        self.seconds = seconds
        self.stderr = stderr
        reason = last_meaningful_line(stderr, program)
        super().__init__(
            f"{program} made no progress for {seconds:g} s and was ended"
            + (f"; its last words: {reason}" if reason else ""),
            hint="look at what it waits for (a lock, the network, a full disk on the other side)",
        )


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        name = signals.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"was killed by {name}"


def _hint(signal: int | None) -> str:
    if signal == signals.SIGKILL:
        return "the system may have run out of memory: see the kernel's log"
    return ""
