"""Where a process runs, and whether one still does."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from restoreproof.process.procfs import stat_of

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Place:
    """Within one place a process id means one thing.

    Attributes:
        host: the machine's name.
        boot: identifies the boot; empty where the system does not tell.
        namespace: identifies the process namespace (a container has its own).
    """

    host: str
    boot: str
    namespace: str

    @property
    def is_certain(self) -> bool:
        """Whether equal places are surely the same."""
        return bool(self.boot)


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a place. ``started`` tells it from a later one with the same id."""

    pid: int
    started: str


def here() -> Place:
    """The place this process runs at."""
    return Place(socket.gethostname(), _boot(), _namespace())


def myself() -> Process:
    """This process."""
    return Process(os.getpid(), _started(os.getpid()))


def lives(process: Process) -> bool:
    """Whether that process of this place still runs. When in doubt it does."""
    if process.pid <= 0:
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and another user's
    stat = stat_of(process.pid)
    if stat is None:
        return True  # hidden from us, or no /proc
    return stat.alive and process.started in {"", str(stat.started)}


def _started(pid: int) -> str:
    stat = stat_of(pid)
    return str(stat.started) if stat else ""


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return _NAMESPACE.readlink().name
    except OSError:
        return ""
