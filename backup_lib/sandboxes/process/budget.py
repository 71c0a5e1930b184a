"""Watches what a disposable server takes from the disk, and stops it before the disk is full."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from restoreproof.errors import NoSpace

INTERVAL = 0.5
"""Seconds between two looks."""

_REST = 20
"""Looking takes at most one part in that many of the time, however many files there are."""

KEPT_FREE = 64 * 1024 * 1024
"""Bytes of the disk that are never used up: others live on it too."""


def used_bytes(top: Path) -> int:
    """Bytes on disk of a tree that changes meanwhile; links are not followed."""
    total = 0
    pending = [os.fspath(top)]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
    return total


def free_bytes(folder: Path) -> int:
    """Bytes an unprivileged user can still write on that disk."""
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize


class Budget:
    """A thread that looks at a tree, and calls ``spent`` once when it is too big.

    Args:
        top: the tree.
        limit: bytes it may take; None for what the disk has.
        spent: stops whoever writes there.
    """

    def __init__(self, top: Path, limit: int | None, spent: Callable[[], object]) -> None:
        self._top = top
        self._limit = limit
        self._spent = spent
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="disk budget", daemon=True)
        self.error: NoSpace | None = None

    def __enter__(self) -> Self:
        self.look()
        if self.error is not None:
            raise self.error
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def look(self) -> None:
        """Judge once, now; the result is in :attr:`error`."""
        if self.error is not None:
            return
        if self._limit is not None and used_bytes(self._top) > self._limit:
            self.error = NoSpace(
                f"the disposable server took more than its disk budget of {self._limit} bytes",
                hint="raise budget in the sandbox's section, or give it another folder",
            )
        elif free_bytes(self._top) < KEPT_FREE:
            self.error = NoSpace(
                f"the disk of the sandbox folder {self._top.parent} is full",
                hint="make room, or set folder in the sandbox's section to a disk that has some",
            )

    def _watch(self) -> None:
        pause = INTERVAL
        while not self._over.wait(pause):
            begun = time.monotonic()
            self.look()
            pause = max(INTERVAL, _REST * (time.monotonic() - begun))
            if self.error is not None:
                self._spent()
                return
