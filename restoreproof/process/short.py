"""Short commands, through the library ``sh``. The only place that imports it.

Its errors and its log quote the whole argument list; neither leaves this file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from restoreproof.errors import UsageError
from restoreproof.process.diagnostics import Tail
from restoreproof.process.errors import ChildFailed, ChildStalled, ProgramMissing

_BINARIES = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""How executables begin on Linux and macOS."""


def output(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    timeout: float = 60.0,
    stdin: str = "",
    cwd: Path | None = None,
    title: str = "",
    accept: Collection[int] = (0,),
) -> str:
    """What a short command writes to stdout, decoded as UTF-8 with replacement.

    What it leaves running in its process group is killed.

    Args:
        argv: program and arguments; no shell. The program is looked for on the PATH of ``env``.
        env: the *whole* environment; start from :func:`clean_env`.
        timeout: seconds it may take in all.
        stdin: what it is given to read.
        cwd: the folder to run in.
        title: what messages call it; else the program's file name.
        accept: exit codes that are no failure.

    Raises:
        ChildFailed: it ended otherwise.
        ChildStalled: it took longer than ``timeout``.
        ProgramMissing: it cannot be started.
        UsageError: the working folder does not exist.
    """
    import sh  # takes longer to import than all of this package

    logging.getLogger("sh").setLevel(logging.CRITICAL)
    program = title or Path(argv[0]).name
    path = _find(argv[0], program, env.get("PATH", os.defpath))
    if any("\0" in word for word in argv):
        raise UsageError(f"an argument for {program} cannot be handed over")
    if cwd is not None and not cwd.is_dir():
        raise UsageError(f"{program} cannot be started: its working folder is missing")
    try:
        child = sh.Command(path)(
            *argv[1:],
            _env=dict(env),
            _cwd=str(cwd) if cwd else None,
            _in=stdin,
            _ok_code=list(accept),
            _decode_errors="replace",
            _out_bufsize=65536,
            _err_bufsize=65536,
            _tty_out=False,
            _new_session=True,
            _bg=True,
            _bg_exc=False,
            _return_cmd=True,
            _log_msg=lambda *_parts: program,
        )
    except sh.ForkException:
        raise ProgramMissing(program, "the system refused to execute it") from None
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill(child.pid)

    # Its own limit ends the program alone, and leaves the children of that running.
    alarm = threading.Timer(timeout, expire)
    alarm.start()
    try:
        child.wait()
    except sh.ErrorReturnCode as error:
        tail = Tail()
        tail.add(error.stderr)
        if expired.is_set():
            raise ChildStalled(program, timeout, tail.text()) from None
        raise ChildFailed(program, error.exit_code, tail.text()) from None
    finally:
        alarm.cancel()
        alarm.join()
        _kill(child.pid)
    return str(child)


def _find(name: str, program: str, search: str) -> str:
    """The path of an executable; ``sh`` leaks descriptors when the system refuses to execute it."""
    path = shutil.which(name, path=search)
    if path is None:
        raise ProgramMissing(program, "not found")
    try:
        with Path(path).open("rb") as file:
            first = file.readline(256)
    except OSError:
        return path  # may be executed, not read
    if first.startswith(b"#!"):
        interpreter = first[2:].split()
        if not interpreter or not Path(os.fsdecode(interpreter[0])).exists():
            raise ProgramMissing(program, "its interpreter is not there")
    elif not first.startswith(_BINARIES):
        raise ProgramMissing(program, "not a program for this system")
    return path


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
