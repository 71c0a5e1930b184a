"""A request to stop, seen by everything that waits."""

from __future__ import annotations

import threading

from restoreproof.errors import Interrupted


class Cancellation:
    """Set once, by a signal handler or another thread; checked wherever work waits."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def request(self) -> None:
        """Ask everything to stop."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether it was asked for."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise :class:`~restoreproof.errors.Interrupted` when it was asked for."""
        if self.requested:
            raise Interrupted("interrupted", hint="run it again; nothing was left half done")
