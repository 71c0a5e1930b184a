"""Running a child to its end: bulk data through pipes, and a deadline on *progress*."""

from __future__ import annotations

import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from restoreproof.process.cancellation import Cancellation
from restoreproof.process.errors import ChildFailed
from restoreproof.process.feeder import Source
from restoreproof.process.inlet import Inlet
from restoreproof.process.session import Consumer, Finished, Session
from restoreproof.process.spawn import Command, spawn

_ASKED_TO_STOP = {-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP}
_HEARING = 0.3
"""Seconds after which a signal that a child got was surely handled by us, if we got it too."""


def _heard(cancel: Cancellation) -> None:
    """Raise Interrupted where the signal that ended a child was meant for us.

    Ctrl-C reaches a child that has not got its own session yet, and may do so before our handler.
    """
    deadline = time.monotonic() + _HEARING
    while not cancel.requested and time.monotonic() < deadline:
        time.sleep(0.01)
    cancel.check()


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: Source | Inlet | None = None,
    stdout: Consumer | None = None,
    stall_timeout: float = 600.0,
    cancel: Cancellation | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    title: str = "",
    accept: Collection[int] = (0,),
    progress: Callable[[], object] | None = None,
    memory: int = 0,
) -> Finished:
    """Run a child to its end; nothing of it is left behind, however that comes about.

    It runs in a session of its own, so that Ctrl-C in a terminal reaches us, not it. What it
    leaves running when it ends is killed. When it is ended early its stdin stays open until it is
    gone, so that it never takes a broken-off input for a whole one.

    Args:
        argv: program and arguments; no shell. The program is looked for on the PATH of ``env``.
        env: the *whole* environment; start from :func:`clean_env`.
        stdin: bytes-like pieces, or a binary file, written by a thread of its own. A generator
            is closed in that thread. Or an :class:`Inlet` that another thread writes to; its
            bytes are not counted. Without it stdin is empty.
        stdout: called in this thread with each piece, up to 1 MiB. The view is valid during the
            call only, its memory is used again. Without it stdout is thrown away.
        stall_timeout: seconds without progress after which the child is ended. Progress is a
            byte on stdin, stdout or stderr; once no pipe of it is open for data also CPU time
            spent; and a change of what ``progress`` returns. Time that ``stdin`` or ``stdout``
            take themselves does not count.
        cancel: looked at ten times a second, and after each piece.
        cwd: the folder to start in.
        pass_fds: descriptors that stay open in the child.
        title: what messages call it; else the program's file name.
        accept: exit codes that are no failure.
        progress: asked now and then while nothing moves; for a child that waits for work done
            elsewhere, such as a server that builds an index.
        memory: bytes of data that it may have, on Linux; no limit where 0.

    Raises:
        ChildFailed: it ended with another exit code, or by a signal.
        ChildStalled: it made no progress.
        Interrupted: ``cancel`` was requested.
        ProgramMissing, UsageError, Unreachable: it could not be started (see :func:`spawn`).
        Exception: whatever ``stdin`` or ``stdout`` raised, once the child is gone. When the child
            has failed by itself, its failure goes first.
    """
    command = Command(argv, env, cwd, pass_fds, title, memory)
    cancel = cancel or Cancellation()
    cancel.check()
    inlet, source = (stdin, None) if isinstance(stdin, Inlet) else (None, stdin)
    if inlet is not None:
        progress = progress or inlet.pulse
    with selectors.DefaultSelector() as selector:
        try:
            child = spawn(
                command,
                stdin=_descriptor(inlet, source),
                stdout=subprocess.DEVNULL if stdout is None else subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        finally:
            if inlet is not None:
                inlet.handed_over()
        session = Session(child, command.program, selector, stdout, cancel)
        try:
            session.open(source, stall_timeout, progress)
            finished, source_error = session.to_the_end()
        finally:
            session.close()
    if finished.returncode in _ASKED_TO_STOP:
        _heard(cancel)
    if finished.returncode not in accept:
        raise ChildFailed(command.program, finished.returncode, finished.stderr) from source_error
    if source_error is not None:
        raise source_error
    return finished


def _descriptor(inlet: Inlet | None, source: Source | None) -> int:
    if inlet is not None:
        return inlet.outlet
    return subprocess.DEVNULL if source is None else subprocess.PIPE
