"""Code that runs in a child process and dies there.

The child collects no garbage: a compressor that the parent left to the collector has threads that
were not forked, and freeing it would wait for them forever.
"""

from __future__ import annotations

import gc
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def forked(work: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    """Run ``work`` in a child until it says ready; it is killed (-9) when the block ends.

    ``work`` is given a function: it tells the parent, and waits to be killed.
    """
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(work, tell)
    os.close(tell)
    try:
        assert os.read(told, 1) == b"r", "the child died before it was ready"
        yield
    finally:
        os.close(told)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def run_forked(work: Callable[[], None]) -> int:
    """Run ``work`` in a child; its exit status: 0, 1 after an exception, or what it exited with."""
    pid = os.fork()
    if pid == 0:
        gc.disable()
        try:
            work()
        except BaseException:  # noqa: BLE001 - a forked child must not return into the test runner
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _child(work: Callable[[Callable[[], None]], None], tell: int) -> None:
    def ready() -> None:
        os.write(tell, b"r")
        signal.pause()

    gc.disable()
    try:
        work(ready)
    except BaseException:  # noqa: BLE001 - as above
        traceback.print_exc()
    os._exit(1)
