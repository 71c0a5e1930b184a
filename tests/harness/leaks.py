"""Nothing left behind: processes, threads, descriptors and temporary files, before and after."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from restoreproof.process import procfs
from restoreproof.process.group import Group

OURS = ("restoreproof*", ".*.part", ".*.guard")
"""Names of temporary files and folders that belong to this software."""

K = TypeVar("K")
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


@dataclass(frozen=True)
class Inventory:
    """What this process has at one moment, each with a description for the report."""

    processes: dict[procfs.Identity, str]
    unreaped: dict[int, str]
    threads: dict[int, str]
    descriptors: dict[int, str]
    files: dict[Path, str] = field(default_factory=dict)

    def beyond(self, before: Inventory) -> list[str]:
        """Whatever is here and was not there before."""
        return [
            *_new("process", self.processes, before.processes),
            *_new("child never waited for:", self.unreaped, before.unreaped),
            *_new("thread", self.threads, before.threads),
            *_new("descriptor", self.descriptors, before.descriptors),
            *_new("file", self.files, before.files),
        ]


def _new(kind: str, now: Mapping[K, str], then: Mapping[K, str]) -> Iterator[str]:
    return (f"{kind} {text}" for key, text in now.items() if then.get(key) != text)


def take_inventory(*folders: Path) -> Inventory:
    """What there is now; ``folders`` are searched for files of ours, to any depth."""
    return Inventory(
        processes={
            identity: f"{identity[0]}: {_command(identity[0])}"
            for identity in procfs.members_of(os.getpid())
            if _is_descendant(identity[0])
        },
        unreaped={p.pid: f"{p.pid}: {p.args!r}" for p in _unreaped()},
        threads={
            t.ident: t.name for t in threading.enumerate() if t.ident is not None and t.is_alive()
        },
        descriptors=_descriptors(),
        files={path: str(path) for path in _files(folders)},
    )


@contextmanager
def no_leftovers(*folders: Path, patience: float = 5.0) -> Iterator[None]:
    """Fail when the block leaves anything behind that was not there before it.

    Looked for are living descendants (orphans included: they are adopted meanwhile), ended
    children nobody waited for, threads, open descriptors, and temporary files of ours under
    ``folders`` (not in the machine's own folder for them, which other tests use at the same time).
    What goes by itself within ``patience`` seconds is no leftover.

    The check is left out when the block itself raises, so that its error shows.
    """
    adopted = _adopt_orphans(1)
    try:
        before = take_inventory(*folders)
        yield
        deadline = time.monotonic() + patience
        while True:
            _bury_orphans()
            left = take_inventory(*folders).beyond(before)
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.02)
    finally:
        _adopt_orphans(adopted)
    if left:
        raise AssertionError("left behind:\n" + "\n".join(left))


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """The whole test leaves nothing behind, here and in its own folder."""
    with no_leftovers(tmp_path):
        yield


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less time between asking a child to end and killing it, so that tests are quick."""
    monkeypatch.setattr(Group, "grace", 0.3)


def _is_descendant(pid: int) -> bool:
    while pid > 1:
        stat = procfs.stat_of(pid)
        if stat is None:
            return False
        if stat.parent == os.getpid():
            return True
        pid = stat.parent
    return False


def _command(pid: int) -> str:
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode("utf-8", "replace")
        )
    return "gone"


def _unreaped() -> list[subprocess.Popen[bytes]]:
    """Popen objects whose process is a zombie. Looked for only where there is a zombie at all."""
    zombies = {s.pid for s in procfs.everyone() if s.parent == os.getpid() and not s.alive}
    if not zombies:
        return []
    return [
        o
        for o in gc.get_objects()
        if isinstance(o, subprocess.Popen) and o.returncode is None and o.pid in zombies
    ]


def _bury_orphans() -> None:
    """Do what init would: collect adopted zombies. Those with a Popen object are not touched."""
    ours = {o.pid for o in gc.get_objects() if isinstance(o, subprocess.Popen)}
    for stat in procfs.everyone():
        if stat.parent == os.getpid() and not stat.alive and stat.pid not in ours:
            with suppress(ChildProcessError):
                os.waitpid(stat.pid, os.WNOHANG)


def _adopt_orphans(wanted: int) -> int:
    """Let orphans of our descendants become our children (prctl(2)); tell what it was before."""
    libc = ctypes.CDLL(None, use_errno=True)
    former = ctypes.c_int()
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(former), 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, wanted, 0, 0, 0)
    return former.value


def _descriptors() -> dict[int, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them is gone by now
            found[int(entry.name)] = f"{entry.name} -> {entry.readlink()}"
    return found


def _files(folders: tuple[Path, ...]) -> Iterator[Path]:
    for pattern in OURS:
        for folder in folders:
            yield from folder.rglob(pattern)
