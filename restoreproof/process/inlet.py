"""A way into a child's stdin for data that is at hand piece by piece, in another thread."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
import termios
import time
from types import TracebackType
from typing import Self

from restoreproof.process.cancellation import Cancellation
from restoreproof.process.feeder import CHUNK

_TICK_MS = 100


class Inlet:
    """A pipe: one thread writes, another runs the child that reads it.

    Nothing is copied or kept on the way, so that it costs no memory, and the writer waits while
    the child is behind. Give it to :func:`~restoreproof.process.runner.run` as ``stdin``, and leave
    its block when the child is gone: only :meth:`end` tells the child that the input is whole.
    A child that closes its stdin early, or never starts, is no error here: what is written then
    goes nowhere, and how the child ends decides.
    """

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        os.set_blocking(self._in, False)
        with contextlib.suppress(AttributeError, OSError):
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, CHUNK)
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.end()
        self.handed_over()

    @property
    def outlet(self) -> int:
        """The descriptor that the child reads."""
        return self._out

    def handed_over(self) -> None:
        """The child has its end, or will never have it: let go of ours."""
        if self._out >= 0:
            os.close(self._out)
            self._out = -1

    def write(self, data: memoryview, cancel: Cancellation) -> None:
        """Write all of it; waits while the child is behind.

        Raises:
            Interrupted: ``cancel`` was requested meanwhile.
        """
        room = select.poll()
        room.register(self._in, select.POLLOUT)
        at = 0
        while at < len(data):
            cancel.check()
            try:
                at += os.write(self._in, data[at:])
            except BlockingIOError:
                room.poll(_TICK_MS)
            except BrokenPipeError:
                return
        self._written += at

    def end(self) -> None:
        """That was all: the child sees the end of its input."""
        if self._in >= 0:
            os.close(self._in)
            self._in = -1

    def pulse(self) -> object:
        """Changes while the child reads, and while there is nothing that it could read."""
        with contextlib.suppress(OSError, ValueError):
            answer = fcntl.ioctl(self._in, termios.FIONREAD, bytes(4))
            waiting = int.from_bytes(answer, sys.byteorder)
            return self._written - waiting, time.monotonic() if not waiting else None
        return None  # the end was written: from here on its CPU time tells
