"""One JSON object per event, one per line: for whoever watches a run with a program."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import fields
from typing import TextIO

from restoreproof.clock import SYSTEM_CLOCK, Clock, rfc3339
from restoreproof.events import Event, StepProgress
from restoreproof.reporters.document import encode

_SECONDS_BETWEEN = 1.0


class JsonLines:
    """Listener that writes ``{"event": "step-started", "at": "…", "step": …}`` lines.

    Progress is told at most once a second and step. A stream that cannot be written to any more
    is given up; the run goes on. Thread-safe.
    """

    def __init__(self, stream: TextIO, clock: Clock = SYSTEM_CLOCK) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self.broken = False

    def __call__(self, event: Event) -> None:
        with self._lock:
            if self.broken or (isinstance(event, StepProgress) and self._too_soon(event.step)):
                return
            line = {"event": _name(event), "at": rfc3339(self._clock.now())}
            told = {one.name: encode(getattr(event, one.name)) for one in fields(event)}
            try:
                self._stream.write(json.dumps({**line, **told}, allow_nan=False) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                self.broken = True

    def _too_soon(self, step: str) -> bool:
        now = self._clock.monotonic()
        if now - self._last.get(step, float("-inf")) < _SECONDS_BETWEEN:
            return True
        self._last[step] = now
        return False


def _name(event: Event) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()
