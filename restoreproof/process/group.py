"""A child with everything it started: its CPU time, its end, and that nothing of it stays.

The leader is watched with ``waitid(WNOWAIT)`` and reaped last: while it is an unreaped zombie, its
process group id cannot be given to anybody else, so that signals never hit strangers.
Beyond the process group, members are found in ``/proc`` where there is one: by session, and by
descent as long as the leader lives. They are stopped before they are killed, so that none of them
starts another one meanwhile. A process that made its own session *and* lost its parent before it
was seen escapes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal as signals
import subprocess
import time
from collections.abc import Callable

from restoreproof.errors import Unreachable
from restoreproof.process import procfs

TERM_GRACE = 5.0
_REAP_LIMIT = 10.0


class Group:
    """The session that ``leader`` (started with ``start_new_session``) leads.

    Attributes:
        grace: seconds between asking and killing, unless said otherwise.
        pid: the leader's process id, which is the id of session and process group too.
    """

    grace: float = TERM_GRACE

    def __init__(self, leader: subprocess.Popen[bytes], program: str) -> None:
        self._leader = leader
        self._program = program
        self._reaped = False
        self.pid = leader.pid

    def exited(self) -> bool:
        """Whether the leader has ended (it may still be an unreaped zombie)."""
        if self._reaped:
            return True
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def members(self) -> set[procfs.Identity]:
        """Living processes of the group, the leader included. Empty where there is no /proc."""
        return procfs.members_of(self.pid)

    def cpu_seconds(self) -> float | None:
        """CPU time used by all living members and the children they waited for."""
        return procfs.cpu_seconds_of(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the process group. Nothing happens once the leader was reaped."""
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def end(
        self,
        *,
        grace: float | None = None,
        first: int = signals.SIGTERM,
        meanwhile: Callable[[float], object] = time.sleep,
    ) -> int:
        """Ask with ``first``, wait up to ``grace`` seconds, kill what is left, reap the leader.

        Args:
            grace: seconds between asking and killing; else :attr:`grace`.
            first: the signal that asks.
            meanwhile: called with a number of seconds to pass while waiting; empties pipes, say.

        Returns:
            The leader's return code as :mod:`subprocess` counts it.
        """
        if self._reaped:
            return self._leader.returncode
        known = self.members()
        try:
            self.signal(first)
            self.signal(signals.SIGCONT)  # a stopped child can not act on it otherwise
            deadline = time.monotonic() + (self.grace if grace is None else grace)
            pause = 0.005
            while time.monotonic() < deadline:
                known |= procfs.members_of(self.pid, known)
                if self.exited() and not procfs.living(known):
                    break
                meanwhile(pause)
                pause = min(pause * 2, 0.1)
        finally:
            code = self.kill(known)
        return code

    def kill(self, known: set[procfs.Identity] | None = None) -> int:
        """Kill whatever is left of the group, at once, and reap the leader."""
        if self._reaped:
            return self._leader.returncode
        known = procfs.freeze(self.pid, known or set())
        self.signal(signals.SIGKILL)
        procfs.kill(known)
        code = self._reap()
        deadline = time.monotonic() + _REAP_LIMIT
        pause = 0.001
        while time.monotonic() < deadline and procfs.living(known):
            procfs.kill(known)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return code

    def _reap(self) -> int:
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            # Popen would take this for exit code 0.
            self._reaped = True
            self._leader.returncode = 255
            raise Unreachable(
                f"how {self._program} ended is not known: somebody else collected its exit status",
                hint="start this program with SIGCHLD at its default, not ignored",
            ) from None
        code = self._leader.wait()
        self._reaped = True
        return code

    def wait(self, seconds: float) -> bool:
        """Wait until the leader ends, ``seconds`` at most; tell whether it did."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(OSError, AttributeError):  # AttributeError: not on this system
            handle = os.pidfd_open(self.pid)
            try:
                select.select([handle], [], [], max(0.0, seconds))
            finally:
                os.close(handle)
            return self.exited()
        while not self.exited():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(0.05, left))
        return True
