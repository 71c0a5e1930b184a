"""One run of a child: moves its data, watches its progress, ends it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TypeAlias

from restoreproof.process.cancellation import Cancellation
from restoreproof.process.diagnostics import Tail
from restoreproof.process.errors import ChildStalled
from restoreproof.process.feeder import CHUNK, Feeder, Source
from restoreproof.process.group import Group
from restoreproof.process.stall import StallClock

Consumer: TypeAlias = Callable[[memoryview], object]

_TICK = 0.1
_WORTHWHILE = CHUNK // 4
_GATHER = 0.002
"""Seconds that a pipe which gave less is left alone: to read few pieces costs much less time."""
_LINGER = 1.0
"""Seconds of silence after which pipes that orphans of an ended child hold open are given up."""
_SOURCE_PATIENCE = 30.0
"""Seconds a source is waited for when its child is gone."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended.

    Attributes:
        returncode: exit code, or minus the signal's number.
        stderr: the last 64 KiB of it, safe to print.
        bytes_in: bytes it was given on stdin.
        bytes_out: bytes it gave on stdout.
        seconds: how long it ran.
    """

    returncode: int
    stderr: str
    bytes_in: int
    bytes_out: int
    seconds: float


class Session:
    """The inside of :func:`~restoreproof.process.runner.run`."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        program: str,
        selector: selectors.BaseSelector,
        consumer: Consumer | None,
        cancel: Cancellation,
    ) -> None:
        self._child = child
        self._program = program
        self._group = Group(child, program)
        self._selector = selector
        self._consumer = consumer
        self._cancel = cancel
        self._feeder: Feeder | None = None
        self._pidfd = -1
        self._tail = Tail()
        self._buffer = bytearray(CHUNK)
        self._bytes_out = self._bytes_in = 0
        self._begun = time.monotonic()

    def open(
        self, source: Source | None, stall_timeout: float, progress: Callable[[], object] | None
    ) -> None:
        """Watch the child's pipes and begin to feed it."""
        self._clock = StallClock(stall_timeout, self._group.cpu_seconds, progress)
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ)
        with contextlib.suppress(AttributeError, OSError):  # not on this system: the tick will do
            self._pidfd = os.pidfd_open(self._child.pid)
            self._selector.register(self._pidfd, selectors.EVENT_READ)
        for pipe in (self._child.stdin, self._child.stdout):
            _widen(pipe)
        if source is not None and self._child.stdin is not None:
            self._feeder = Feeder(source, self._child.stdin, f"stdin of {self._program}")

    def to_the_end(self) -> tuple[Finished, BaseException | None]:
        """Move data until the child is gone and its pipes are empty.

        Returns:
            How it ended, and what its source raised when the child was gone.
        """
        quiet_since: float | None = None
        while True:
            exited = self._group.exited()  # asked first: what it wrote before is in the pipes then
            moved = self._move(0 if exited else _TICK)
            if exited:
                self._forget_pidfd()
                if quiet_since is None or moved:
                    quiet_since = time.monotonic()
                if not self._selector.get_map() or time.monotonic() - quiet_since > _LINGER:
                    break
                if not moved:
                    time.sleep(0.005)
            elif self._feeder is not None and self._feeder.error is not None:
                raise self._feeder.error
            self._cancel.check()
            if moved or (self._feeder is not None and self._feeder.producing):
                self._clock.restart()
            elif self._clock.stalled(cpu_counts=not self._data_pipe_open()):
                self.close()
                raise ChildStalled(self._program, self._clock.timeout, self._tail.text())
        return self._finish()

    def close(self) -> None:
        """End whatever still runs, and let go of everything."""
        try:
            self._consumer = None
            if self._feeder is not None:
                self._feeder.halt()
            self._group.end(meanwhile=self._move)
        finally:
            if self._feeder is not None:
                self._feeder.close(_SOURCE_PATIENCE)
            self._forget_pidfd()
            for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
                if pipe is not None:
                    self._drop(pipe)

    def _finish(self) -> tuple[Finished, BaseException | None]:
        code = self._group.kill()
        feeder = self._feeder
        if feeder is not None:
            feeder.join(_SOURCE_PATIENCE)
        finished = Finished(
            returncode=code,
            stderr=self._tail.text(),
            bytes_in=feeder.written if feeder else 0,
            bytes_out=self._bytes_out,
            seconds=time.monotonic() - self._begun,
        )
        return finished, feeder.error if feeder else None

    def _data_pipe_open(self) -> bool:
        out = self._child.stdout
        return (out is not None and not out.closed) or (
            self._feeder is not None and not self._feeder.finished
        )

    def _move(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for data, take it; tell whether any moved, in or out."""
        moved = False
        for key, _events in self._selector.select(seconds):
            if key.fileobj is self._child.stdout:
                moved |= self._take_output(self._child.stdout)
            elif key.fileobj is self._child.stderr:
                moved |= self._take_errors(self._child.stderr)
        written = self._feeder.written if self._feeder else 0
        moved |= written != self._bytes_in
        self._bytes_in = written
        return moved

    def _take_output(self, pipe: IO[bytes]) -> bool:
        try:
            count = os.readv(pipe.fileno(), [self._buffer])
        except BlockingIOError:
            return False
        if not count:
            self._drop(pipe)
            return False
        self._bytes_out += count
        if self._consumer is not None:
            # Released afterwards: keeping it raises an error instead of showing other data.
            with memoryview(self._buffer) as whole, whole[:count].toreadonly() as part:
                self._consumer(part)
            if count < _WORTHWHILE:
                time.sleep(_GATHER)
        return True

    def _take_errors(self, pipe: IO[bytes]) -> bool:
        try:
            data = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return False
        if not data:
            self._drop(pipe)
            return False
        self._tail.add(data)
        return True

    def _drop(self, pipe: IO[bytes]) -> None:
        if not pipe.closed:
            with contextlib.suppress(KeyError):
                self._selector.unregister(pipe)
            pipe.close()

    def _forget_pidfd(self) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1


def _widen(pipe: IO[bytes] | None) -> None:
    """Give a pipe room for a whole piece, where the system allows it."""
    if pipe is not None:
        with contextlib.suppress(AttributeError, OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, CHUNK)
