"""User ids for sandboxes: each is used by one sandbox of this machine at a time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from restoreproof.confine import UNUSED_IDS

SLOTS = UNUSED_IDS[:-1]  # the last is what the probe of the layers runs as


class UserLock:
    """Holds a user id for this process, whatever folder its sandboxes lie in.

    An abstract Unix socket: the kernel frees the name when its owner dies, and no file is left.
    """

    def __init__(self, number: int, name: socket.socket) -> None:
        self.number = number
        self._name = name

    @classmethod
    def take(cls, number: int) -> UserLock | None:
        """Hold that id; None where somebody else does."""
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0restoreproof-sandbox-{number}")
        except OSError:
            name.close()
            return None
        return cls(number, name)

    def release(self) -> None:
        """Let others have it."""
        self._name.close()


def users_of(process: Path) -> frozenset[int]:
    """Real, effective, saved and file system user id of a process, given as ``/proc/PID``."""
    with suppress(OSError):
        for line in (process / "status").read_text(errors="replace").splitlines():
            if line.startswith("Uid:"):
                return frozenset(int(uid) for uid in line.split()[1:])
    return frozenset()


def processes() -> Iterator[Path]:
    """``/proc/PID`` of everything that runs; empty where there is no /proc."""
    with suppress(OSError):
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                yield folder


def users_at_work() -> frozenset[int]:
    """User ids that some process runs with."""
    return frozenset(uid for process in processes() for uid in users_of(process))
