"""What a sandbox may leave in the kernel: processes and System V shared memory."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from backup_lib.sandboxes.process.users import processes, users_of
from restoreproof.confine import LAUNCHER
from restoreproof.process import procfs

_PATIENCE = 10.0
_IPC_RMID = 0


def end(slot: Path, uid: int | None, since: float) -> None:
    """Kill every process of a slot, and remove the shared memory it made.

    Args:
        slot: its folder; its launcher was told of it, and its programs work inside.
        uid: the user that nobody but this slot has; None where it has none of its own.
        since: time of its making; nothing of it is older.
    """
    deadline = time.monotonic() + _PATIENCE
    while (found := set(_members(slot, uid))) and time.monotonic() < deadline:
        procfs.kill(found)
        time.sleep(0.01)
    _remove_shared_memory(uid, since)


def _members(slot: Path, uid: int | None) -> Iterator[procfs.Identity]:
    for process in processes():
        found = procfs.stat_of(int(process.name))
        if found is None or not found.alive or found.pid == os.getpid():
            continue
        users = users_of(process)
        if (uid is not None and uid in users) or (
            os.geteuid() in users
            and (_launches(process, slot) or (os.geteuid() != 0 and _works_in(process, slot)))
        ):
            yield found.identity


def _launches(process: Path, slot: Path) -> bool:
    """Whether it is the launcher of a program of that slot."""
    with suppress(OSError):
        arguments = (process / "cmdline").read_bytes().split(b"\0")
        return os.fsencode(LAUNCHER) in arguments and any(
            os.fsencode(f'"{slot}/') in argument for argument in arguments
        )
    return False


def _works_in(process: Path, slot: Path) -> bool:
    """Whether it stands, or comes from, in there.

    Somebody's shell that happens to stand there is spared: it has a terminal, and a sandbox's
    programs never have.
    """
    with suppress(OSError, IndexError):
        terminal = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[4]
        if terminal == "0":
            return any((process / link).readlink().is_relative_to(slot) for link in ("cwd", "exe"))
    return False


def _remove_shared_memory(uid: int | None, since: float) -> None:
    """Remove the segments of the slot's user; with a namespace of their own there are none to see.

    Where the user is our own: those which nobody is attached to, whose maker is dead, and which
    are younger than the slot. PostgreSQL leaves one when it is killed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        lines = Path("/proc/sysvipc/shm").read_text().splitlines()
    except OSError:
        return
    names = lines[0].split()
    for line in lines[1:]:
        segment = dict(zip(names, map(int, line.split()), strict=True))
        if uid is not None:
            ours = segment["cuid"] == uid
        else:
            ours = (
                segment["cuid"] == os.geteuid() != 0
                and segment["nattch"] == 0
                and segment["ctime"] >= int(since)
                and procfs.stat_of(segment["cpid"]) is None
            )
        if ours:
            libc.shmctl(segment["shmid"], _IPC_RMID, None)
