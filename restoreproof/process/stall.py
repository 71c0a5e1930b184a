"""When a child counts as stuck."""

from __future__ import annotations

import time
from collections.abc import Callable

_CPU_SHARE = 0.01
"""CPU time below this share of a core is idling (timers, garbage collection), not work."""


class StallClock:
    """Runs while a child shows no progress.

    Args:
        timeout: seconds without progress until it is stalled.
        cpu_seconds: CPU time the child has used so far; None where the system does not tell.
        progress: any value that changes while work goes on elsewhere.
    """

    def __init__(
        self,
        timeout: float,
        cpu_seconds: Callable[[], float | None],
        progress: Callable[[], object] | None = None,
    ) -> None:
        self.timeout = timeout
        self._interval = min(5.0, timeout / 8)
        self._cpu_seconds = cpu_seconds
        self._progress = progress
        self._cpu: float | None = None
        self._value: object = None
        self._mark = self._sampled = time.monotonic()

    def restart(self) -> None:
        """Progress was seen."""
        self._mark = time.monotonic()

    def stalled(self, *, cpu_counts: bool) -> bool:
        """Whether the child shows no progress for ``timeout`` seconds.

        Args:
            cpu_counts: whether CPU time is progress: only for a child that moves no data, since a
                spinning one would never be found otherwise.
        """
        now = time.monotonic()
        if now - self._sampled >= self._interval:
            if self._worked(now - self._sampled, cpu_counts=cpu_counts):
                self._mark = now
            self._sampled = now
        return now - self._mark > self.timeout

    def _worked(self, seconds: float, *, cpu_counts: bool) -> bool:
        worked = False
        if cpu_counts:
            before, self._cpu = self._cpu, self._cpu_seconds()
            # A system that does not tell: rather wait for ever than kill one that works.
            worked = self._cpu is None or (
                before is not None and self._cpu - before >= _CPU_SHARE * seconds
            )
        if self._progress is not None:
            value = self._progress()
            worked = worked or value != self._value
            self._value = value
        return worked
