"""Short commands, through the library ``sh``. The only place that imports it.

Its errors and its log quote the whole argument list; neither leaves this file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from restoreproof.errors import UsageError
from restoreproof.process.diagnostics import printable
from restoreproof.process.errors import ChildFailed, ChildStalled, ProgramMissing


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
    import sh  # 60 ms

    logging.getLogger("sh").setLevel(logging.CRITICAL)
    program = title or Path(argv[0]).name
    path = shutil.which(argv[0], path=env.get("PATH", os.defpath))
    if path is None:
        raise ProgramMissing(program, "not found")
    if cwd is not None and not cwd.is_dir():
        raise UsageError(f"{program} cannot be started: its working folder is missing")
    command = sh.Command(path)
    child = command(
        *argv[1:],
        _env=dict(env),
        _cwd=str(cwd) if cwd else None,
        _in=stdin,
        _ok_code=list(accept),
        _decode_errors="replace",
        _tty_out=False,
        _new_session=True,
        _bg=True,
        _bg_exc=False,
        _return_cmd=True,
        _log_msg=lambda *_parts: program,
    )
    try:
        child.wait(timeout=timeout)
    except sh.TimeoutException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        raise ChildStalled(program, timeout, "") from None
    except sh.ErrorReturnCode as error:
        stderr = printable(error.stderr.decode("utf-8", "replace"))
        raise ChildFailed(program, error.exit_code, stderr) from None
    return str(child)
