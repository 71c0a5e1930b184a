"""Shuts itself in, then runs a command: ``python -I -S launcher.py SPEC COMMAND…``.

A file of its own that needs nothing but the standard library, so that it starts quickly and works
from anywhere. ``SPEC`` is JSON (see :func:`restoreproof.confine.confined`). Two processes come of
it: this one stays outside as the *supervisor*; its child shuts itself in and becomes the command.

- The command never outlives its owner: the supervisor ends it, and everything it started, when the
  owning process is gone (even by SIGKILL), and the kernel does so when the supervisor is.
- SIGTERM, SIGINT and SIGHUP to the supervisor are passed on as the stop signal of the spec; what
  still runs after the grace time is killed. Its exit status is that of the command.
- A layer that this system does not grant is left out and told by ``--probe`` in place of a command;
  dropping the user and giving up privileges are never left out: without them, exit status 126.

Sources: landlock(7), user_namespaces(7), pid_namespaces(7), mount_namespaces(7), pivot_root(2),
prctl(2), capabilities(7).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import stat
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CANNOT_RUN = 126
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_NS, _NEW_IPC = 1 << 17, 1 << 27
_NEW_USER, _NEW_PID, _NEW_NET = 1 << 28, 1 << 29, 1 << 30
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 0x1000, 0x4000, 1 << 18, 2, 4, 8
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}  # the only system call here without a common number
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

# Landlock's file rights by bit; those above a kernel's ABI are not asked for.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK, _TRUNCATE, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 14, 1 << 15
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_RIGHTS = (1 << 16) - 1

Report = dict[str, str]


def _call(name: str, *arguments: Any) -> int:  # noqa: ANN401  # whatever C takes
    """A function of libc; raises OSError where it fails."""
    result: int = getattr(_LIBC, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def _syscall(number: int, *arguments: Any) -> int:  # noqa: ANN401  # whatever C takes
    return _call("syscall", ctypes.c_long(number), *arguments)


def _layer(report: Report, name: str, skip: list[str], put_on: Callable[[], object]) -> None:
    """Try to put on one layer, and report it."""
    if name in skip:
        report[name] = "no: not asked for"
        return
    try:
        put_on()
    except OSError as error:
        report[name] = f"no: {error.strerror or error}"
    else:
        report[name] = "yes"


# ── before the fork: namespaces ─────────────────────────────────────────────────────────────────


def _own_user_namespace() -> None:
    """Maps our user onto itself, which gives the right to the other namespaces, and only that."""
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", _NEW_USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _namespaces(skip: list[str], report: Report, *, network: bool) -> None:
    if os.geteuid() != 0:
        _layer(report, "user namespace", skip, _own_user_namespace)
    if not network:
        _layer(report, "network namespace", skip, lambda: _call("unshare", _NEW_NET))
    _layer(report, "ipc namespace", skip, lambda: _call("unshare", _NEW_IPC))
    _layer(report, "process namespace", skip, lambda: _call("unshare", _NEW_PID))


# ── in the child ────────────────────────────────────────────────────────────────────────────────


def _show(path: Path, root: Path) -> None:
    """Make one path, and nothing beside it, visible below ``root``; symbolic links stay links."""
    seen = root / path.relative_to("/")
    if seen.is_symlink() or seen.exists():
        return
    seen.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        seen.symlink_to(path.readlink())
        _show(path.resolve(), root)
        return
    if path.is_dir():
        seen.mkdir()
    else:
        seen.touch()
    _call("mount", bytes(path), bytes(seen), None, _MS_BIND | _MS_REC, None)


def _own_root(paths: list[str]) -> None:
    """A file system in which only ``paths`` exist; so sockets elsewhere cannot be reached either.

    The empty root is put over a folder that every system has and that is of no use in here. The
    loader asks /proc where a program lies: ours shows our own processes only, where we have them.
    """
    pivot = _PIVOT_ROOT.get(os.uname().machine)
    if pivot is None:
        raise OSError(0, f"not known for {os.uname().machine}")
    _call("unshare", _NEW_NS)
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    root = Path("/sys")
    _call("mount", b"tmpfs", bytes(root), b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=755")
    tops = [Path(path) for path in paths if not any(Path(p) in Path(path).parents for p in paths)]
    for path in sorted(filter(Path.exists, tops), key=Path.is_symlink):  # what links lead to first
        _show(path, root)
    processes = root / "proc"
    processes.mkdir()
    try:
        flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
        _call("mount", b"proc", bytes(processes), b"proc", flags, None)
    except OSError:  # a container that masks parts of its own /proc grants no new one
        _call("mount", b"/proc", bytes(processes), None, _MS_BIND | _MS_REC, None)
    os.chdir(root)
    _syscall(pivot, b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chdir("/")


def _landlock_abi() -> int:
    return _syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))


def _landlock(spec: dict[str, Any], report: Report) -> None:
    """Deny every file, TCP port and signal that the spec does not name."""
    abi = _landlock_abi()
    handled = _RIGHTS_BY_ABI.get(abi, _ALL_RIGHTS)
    tcp = 0b11 if abi >= 4 and not spec["network"] else 0
    scopes = 0b11 if abi >= 6 else 0  # abstract Unix sockets, signals
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _syscall(
        _LANDLOCK_CREATE,
        struct.pack("=QQQ", handled, tcp, scopes)[:size],
        ctypes.c_size_t(size),
        ctypes.c_uint(0),
    )
    reading = _READ_FILE | _READ_DIR
    writing = _ALL_RIGHTS & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
    for key, rights in (("read", reading), ("execute", reading | _EXECUTE), ("write", writing)):
        for path in spec[key]:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # not there on this system: nothing to allow
            folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            granted = rights & handled & (_ALL_RIGHTS if folder else _FOR_FILES)
            rule = struct.pack("=Qi", granted, descriptor)
            _syscall(_LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))
            os.close(descriptor)
    _syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)
    if not spec["network"]:
        report["tcp denied"] = "yes" if tcp else f"no: Landlock ABI {abi} is older than 4"
    report["signals confined"] = "yes" if scopes else f"no: Landlock ABI {abi} is older than 6"


def _shut_in(spec: dict[str, Any], report: Report) -> None:
    """What the child does before it becomes the command. Each step narrows; none can be undone."""
    skip = spec["skip"]
    os.setsid()
    os.umask(0o022)  # the folders of our root are for the command's user too
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _layer(
        report,
        "mount namespace",
        skip,
        lambda: _own_root([*spec["read"], *spec["execute"], *spec["write"]]),
    )
    os.umask(0o077)
    if spec["uid"] is not None:
        os.setgroups([])
        os.setresgid(spec["gid"], spec["gid"], spec["gid"])
        os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    report["own user"] = "yes" if spec["uid"] is not None else "no: we are not root"
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the user: that resets it
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.chdir(spec["folder"])
    _layer(report, "landlock", skip, lambda: _landlock(spec, report))
    os.closerange(3, 1 << 20)


def _become(spec: dict[str, Any], command: list[str], report: Report, started: int) -> None:
    try:
        _shut_in_when_supervised(spec, report, started)
        if command == ["--probe"]:
            os.write(1, json.dumps(report).encode())
            os._exit(0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them; the command need not
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execv(command[0], command)  # noqa: S606  # a shell is what is not wanted
    except OSError as error:
        os.write(2, f"cannot run {command[0]} confined: {error}\n".encode())
    finally:
        os._exit(CANNOT_RUN)


def _shut_in_when_supervised(spec: dict[str, Any], report: Report, started: int) -> None:
    """Wait until the supervisor watches: it may have died before the kernel was told to link us."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.read(started, 1) != b"1":
        os._exit(CANNOT_RUN)
    _shut_in(spec, report)


# ── the supervisor ──────────────────────────────────────────────────────────────────────────────


def _children() -> list[int]:
    """Our children; orphans of the command among them, since we are their reaper."""
    found = []
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = process.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == os.getpid():
            found.append(int(process.parent.name))
    return found


def _end_all() -> None:
    """Kill whatever the command left behind. With a process namespace there is nothing left."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _supervise(child: int, owner: int, spec: dict[str, Any]) -> int:
    """Wait for the end of the command, or bring it about; its status as of waitpid(2)."""
    waking, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    ended = os.pidfd_open(child)
    poll = select.poll()
    for descriptor in (waking, owner, ended):
        poll.register(descriptor, select.POLLIN)
    deadline: float | None = None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = {descriptor for descriptor, _ in poll.poll(left)}
        if ended in ready:
            break
        if not ready:
            os.kill(child, signal.SIGKILL)
            deadline = None
            continue
        if owner in ready:
            poll.unregister(owner)
        else:
            os.read(waking, 4096)
        os.kill(child, spec["stop_signal"])
        deadline = time.monotonic() + spec["grace"]
    return os.waitpid(child, 0)[1]


def main() -> int:
    """Start the command and watch it; the exit status."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    report: Report = {}
    # Blocked until the handlers are there, so that an early request to stop is not the end of us.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    try:
        owner = os.pidfd_open(spec["owner"])
    except ProcessLookupError:
        return CANNOT_RUN
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _namespaces(spec["skip"], report, network=spec["network"])
    started, start = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(start)
        _become(spec, sys.argv[2:], report, started)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)  # the ends of pipes belong to the command alone
    os.write(start, b"1")
    status = _supervise(child, owner, spec)
    _end_all()
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
