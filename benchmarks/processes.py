"""CPU time and memory of whole process trees, as Linux tells them in /proc."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from restoreproof.process import procfs

_LONGEST_PAUSE = 1.0
_TELLS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()

_FEW = 5


def cpu_seconds(leader: int) -> float:
    """CPU seconds of a process, its living descendants, and all of theirs that ended.

    PostgreSQL's postmaster collects every backend that ends, so that the difference of two
    readings is what the server has used in between.
    """
    return procfs.cpu_seconds_of(leader) or 0.0


def memory_bytes(leader: int) -> int:
    """Memory of a process and its living descendants; what they share counts once (PSS)."""
    return sum(map(_proportional, _family(leader)))


def _family(leader: int) -> list[int]:
    """Leader and descendants; from the top where the system tells: it is much quicker."""
    if not _TELLS_CHILDREN:
        return [pid for pid, _started in procfs.members_of(leader)]
    found = [leader]
    for pid in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    found += map(int, (task / "children").read_text().split())
    return found


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class Watcher:
    """Follows the memory of a process tree from a thread of its own while the block runs.

    Args:
        leader: process id.
        pause: seconds between two looks, at least: a peak that is shorter may be missed.
        share: of a core that looking may take; the pause is longer where it takes more.

    Attributes:
        peak: bytes; 0 where it was over before there were a few looks.
    """

    def __init__(
        self,
        leader: int,
        *,
        pause: float,
        share: float = 0.02,
        look: Callable[[int], int] = memory_bytes,
    ) -> None:
        self._leader = leader
        self._pause = pause
        self._share = share
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._highest = self._looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def peak(self) -> int:
        return self._highest if self._looks >= _FEW else 0

    def _watch(self) -> None:
        while True:
            begun = time.monotonic()
            self._highest = max(self._highest, self._look(self._leader))
            self._looks += 1
            taken = time.monotonic() - begun
            if self._over.wait(min(_LONGEST_PAUSE, max(self._pause, taken / self._share))):
                return


def collect(pid: int) -> tuple[int, float]:
    """Wait for a child.

    Returns:
        Its exit code; CPU seconds of it and of all descendants that were waited for.
    """
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
