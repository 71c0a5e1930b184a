"""Starting a child: own session, nothing inherited, errors as sentences."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from restoreproof.errors import Unreachable, UsageError
from restoreproof.process.errors import ProgramMissing


@dataclass(frozen=True, slots=True)
class Command:
    """What to start. Its repr shows neither arguments nor environment.

    Attributes:
        argv: program and arguments; the program is looked for on the PATH of ``env``.
        env: the whole environment.
        cwd: the folder to start in.
        pass_fds: descriptors that stay open in the child, under the same numbers.
        title: the name of it in messages; the program's file name where it is empty.
        memory: bytes of data that it and its children may each have; no limit where 0.
    """

    argv: Sequence[str] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    pass_fds: Sequence[int] = ()
    title: str = ""
    memory: int = 0

    @property
    def program(self) -> str:
        """What messages call it."""
        return self.title or Path(self.argv[0]).name


def spawn(command: Command, *, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start ``command`` as the leader of a new session, so that the terminal's Ctrl-C spares it.

    Raises:
        ProgramMissing: there is no such program, or it may not be executed.
        UsageError: the working folder does not exist, or an argument is impossible.
        Unreachable: the system has no room for another process.
    """
    try:
        child = subprocess.Popen(
            list(command.argv),
            env=dict(command.env),
            cwd=command.cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            pass_fds=tuple(command.pass_fds),
            bufsize=0,
        )
    except ValueError as error:  # a NUL byte or a lone surrogate
        raise UsageError(f"an argument for {command.program} cannot be handed over") from error
    except OSError as error:
        raise _translated(error, command) from error
    _limit_memory(child.pid, command.memory)
    return child


def _limit_memory(pid: int, memory: int) -> None:
    """From outside, right after the start: code between fork and exec is not safe with threads."""
    if memory and hasattr(resource, "prlimit"):  # Linux alone has it
        with suppress(OSError):  # it has ended already
            resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))


def _translated(error: OSError, command: Command) -> Exception:
    if command.cwd is not None and not command.cwd.is_dir():
        return UsageError(f"{command.program} cannot be started: its working folder is missing")
    if isinstance(error, FileNotFoundError):
        return ProgramMissing(command.program, "not found")
    if isinstance(error, PermissionError):
        return ProgramMissing(
            command.program, "permission denied", hint="make the file executable for this user"
        )
    if isinstance(error, BlockingIOError | MemoryError):
        return Unreachable(
            f"{command.program} cannot be started: the system has no room for another process",
            hint="raise the limit on processes or free memory",
        )
    reason = error.strerror or "the system refused"
    return ProgramMissing(command.program, reason[:1].lower() + reason[1:])
