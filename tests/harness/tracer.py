"""Counts the system calls with which a piece of work changes files, and kills it at any of them.

The work runs in a forked child under ptrace(2), so that the points are found, not chosen: every
call of a kind in :data:`CHANGING`, of any thread, that concerns a path below one of the given
folders. Killed at point N, the N-th of them is not carried out any more. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CHANGING = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 2: "open", 257: "openat", 85: "creat",
        83: "mkdir", 258: "mkdirat", 84: "rmdir", 82: "rename", 264: "renameat", 316: "renameat2",
        86: "link", 265: "linkat", 88: "symlink", 266: "symlinkat", 87: "unlink", 263: "unlinkat",
        74: "fsync", 75: "fdatasync", 77: "ftruncate", 76: "truncate", 285: "fallocate",
        326: "copy_file_range",
    },
    "aarch64": {
        64: "write", 68: "pwrite64", 66: "writev", 56: "openat", 34: "mkdirat", 38: "renameat",
        276: "renameat2", 37: "linkat", 36: "symlinkat", 35: "unlinkat", 82: "fsync",
        83: "fdatasync", 46: "ftruncate", 45: "truncate", 47: "fallocate", 285: "copy_file_range",
    },
}  # fmt: skip
"""Numbers and names by machine, as in the kernel's ``syscall_64.tbl`` and ``unistd.h``."""

_BY_DESCRIPTOR = {"write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "fallocate"}
_PATHS: Mapping[str, list[tuple[int | None, int]]] = {
    "open": [(None, 0)], "creat": [(None, 0)], "mkdir": [(None, 0)], "rmdir": [(None, 0)],
    "unlink": [(None, 0)], "truncate": [(None, 0)], "rename": [(None, 0), (None, 1)],
    "link": [(None, 0), (None, 1)], "symlink": [(None, 1)], "symlinkat": [(1, 2)],
    "openat": [(0, 1)], "mkdirat": [(0, 1)], "unlinkat": [(0, 1)],
    "renameat": [(0, 1), (2, 3)], "renameat2": [(0, 1), (2, 3)], "linkat": [(0, 1), (2, 3)],
}  # fmt: skip
"""Positions of the arguments: a folder's descriptor or None, and a path below it."""
_FLAGS_AT = {"open": 1, "openat": 2}
_MAKES = os.O_CREAT | os.O_TRUNC

_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
_O_SYSGOOD, _O_CLONE, _O_EXITKILL = 1, 8, 1 << 20
_WALL = 0x40000000
_AT_FDCWD = -100
_ENTRY = 1
_WORK_FAILED = 9
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that was about to change something.

    Attributes:
        name: of the call; ``renameat2`` and its like are named as the system names them.
        paths: what it concerns: one path, or from and to.
    """

    name: str
    paths: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The name without the variant: ``rename``, ``link``, ``open``, ``fsync`` …"""
        name = self.name.removesuffix("64").removesuffix("2").removesuffix("at")
        return {"fdatasync": "fsync", "pwrite": "write", "writev": "write", "creat": "open"}.get(
            name, name
        )


@dataclass(frozen=True, slots=True)
class Traced:
    """What was seen.

    Attributes:
        calls: in their order, over all threads; the last was not carried out when killed.
        killed: whether the point was reached.
    """

    calls: tuple[Call, ...]
    killed: bool


class _Info(ctypes.Structure):
    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
        ("rest", ctypes.c_uint8 * 64),
    )


def trace(
    work: Callable[[], object],
    *,
    folders: Collection[Path],
    kill_at: int | None = None,
    kill: Callable[[int], object] | None = None,
) -> Traced:
    """Run ``work`` in a child; kill it at the point ``kill_at`` (from 1).

    Args:
        work: what the child does; it ends when that returns.
        folders: calls that concern something below them count.
        kill_at: the point; None to let it run to its end.
        kill: what happens to the child at that point; by default SIGKILL.

    Raises:
        AssertionError: the work itself raised.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _be_traced(work)
    return _Tracer(pid, folders, kill_at, kill or _sigkill).run()


def points(calls: Collection[Call], *, most: int) -> list[int]:
    """At most about ``most`` of the points 1 to N: the first, the last, and an even spread.

    All renames, links and fsyncs come first: they are where a set begins to exist.
    """
    count = len(calls)
    if count <= most:
        return list(range(1, count + 1))
    weighty = [n for n, call in enumerate(calls, 1) if call.kind in {"rename", "link", "fsync"}]
    others = [n for n in range(1, count + 1) if n not in weighty]
    chosen = {1, count, *_spread(weighty, most * 2 // 3)}
    return sorted(chosen | set(_spread(others, most - len(chosen))))


def _spread(numbers: list[int], most: int) -> list[int]:
    if len(numbers) <= most:
        return numbers
    return [numbers[round(i * (len(numbers) - 1) / max(1, most - 1))] for i in range(max(0, most))]


def _sigkill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _be_traced(work: Callable[[], object]) -> None:
    code = _WORK_FAILED
    gc.disable()  # see tests.harness.forked
    try:
        os.setsid()
        _ptrace(_TRACEME, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - this process ends here, whatever it was
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _ptrace(request: int, pid: int, data: int, address: int = 0) -> int:
    result = int(_LIBC.ptrace(request, pid, address, data))
    if result < 0 and (code := ctypes.get_errno()):
        raise OSError(code, f"ptrace {request:#x}: {os.strerror(code)}")
    return result


class _Tracer:
    def __init__(
        self,
        pid: int,
        folders: Collection[Path],
        kill_at: int | None,
        kill: Callable[[int], object],
    ) -> None:
        self._pid = pid
        self._folders = tuple(os.fspath(folder) + "/" for folder in folders)
        self._kill_at = kill_at
        self._kill = kill
        self._names = CHANGING[platform.machine()]
        self._calls: list[Call] = []
        self._killed = False

    def run(self) -> Traced:
        os.waitpid(self._pid, 0)
        _ptrace(_SETOPTIONS, self._pid, _O_SYSGOOD | _O_CLONE | _O_EXITKILL)
        self._go_on(self._pid, 0)
        while True:
            thread, status = os.waitpid(-self._pid, _WALL)
            if os.WIFSTOPPED(status):
                self._stopped(thread, status)
            elif thread == self._pid:
                break
        code = os.waitstatus_to_exitcode(status)
        assert self._killed or code == 0, f"the work in the child ended with {code}"
        return Traced(tuple(self._calls), self._killed)

    def _stopped(self, thread: int, status: int) -> None:
        number = os.WSTOPSIG(status)
        passed_on = 0
        if number == signal.SIGTRAP | 0x80:
            self._look(thread)
        elif number not in {signal.SIGTRAP, signal.SIGSTOP}:
            passed_on = number  # a signal of its own, which it is to have
        self._go_on(thread, passed_on)

    def _go_on(self, thread: int, number: int) -> None:
        with suppress(ProcessLookupError):  # killed meanwhile: its end is reported next
            _ptrace(_SYSCALL, thread, number)

    def _look(self, thread: int) -> None:
        info = _Info()
        try:
            size = ctypes.sizeof(info)
            _ptrace(_GET_SYSCALL_INFO, thread, ctypes.addressof(info), size)
        except ProcessLookupError:
            return
        name = self._names.get(int(info.number)) if info.op == _ENTRY else None
        if name is None or self._killed:
            return
        arguments = tuple(int(info.arguments[i]) for i in range(6))
        if name in _FLAGS_AT and not arguments[_FLAGS_AT[name]] & _MAKES:
            return
        paths = tuple(self._paths(thread, name, arguments))
        if not any((path + "/").startswith(self._folders) for path in paths):
            return
        self._calls.append(Call(name, paths))
        if len(self._calls) == self._kill_at:
            self._killed = True
            self._kill(self._pid)

    def _paths(self, thread: int, name: str, arguments: tuple[int, ...]) -> Iterator[str]:
        if name in _BY_DESCRIPTOR:
            yield self._descriptor(thread, arguments[0])
        elif name == "copy_file_range":
            yield self._descriptor(thread, arguments[2])
        else:
            for folder, path in _PATHS[name]:
                text = self._text(arguments[path])
                base = _AT_FDCWD if folder is None else ctypes.c_int(arguments[folder]).value
                yield os.path.normpath(Path(self._descriptor(thread, base), text))

    def _descriptor(self, thread: int, number: int) -> str:
        link = "cwd" if number == _AT_FDCWD else f"fd/{number}"
        try:
            return os.fspath(Path(f"/proc/{thread}/{link}").readlink())
        except OSError:
            return ""

    def _text(self, address: int) -> str:
        with Path(f"/proc/{self._pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            return os.fsdecode(memory.read(4096).partition(b"\0")[0])
