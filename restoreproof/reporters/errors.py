"""An error as a person reads it: what happened in one sentence, and what to do next."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TextIO

from restoreproof.errors import InternalError, RestoreproofError
from restoreproof.redaction import redact
from restoreproof.reporters.text import plain

DEBUG_VARIABLE = "RESTOREPROOF_DEBUG"
"""Set (by ``--debug``): crashes show their traceback as well."""

REPORT_TO = "please report it to the project's issue tracker, with that file"


def print_error(error: RestoreproofError, stream: TextIO | None = None) -> None:
    """Write message and hint; quietly does nothing where nobody can read it any more."""
    stream = stream or sys.stderr
    red, yellow, plainly = _colours(stream)
    lines = f"{red}error:{plainly} {plain(error.message)}\n"
    if error.hint:
        lines += f"{yellow}hint:{plainly} {plain(error.hint)}\n"
    try:
        stream.write(lines)
        stream.flush()
    except (OSError, ValueError):
        return


def crashed(error: BaseException, folder: Path | None = None) -> InternalError:
    """Keep the traceback of a bug, without secrets, in a file that only this user can read.

    Args:
        error: what nobody expected.
        folder: where to; the folder for temporary files by default.

    Returns:
        the error to end with; it names the file.
    """
    trace = redact("".join(traceback.format_exception(error)))
    if os.environ.get(DEBUG_VARIABLE):
        print_trace(trace)
    try:
        handle, name = tempfile.mkstemp(".txt", "restoreproof-crash-", folder)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(trace)
    except OSError as failed:
        where = f"its traceback could not be kept ({failed.strerror}); --debug shows it"
    else:
        where = f"its traceback is in {name}"
    return InternalError(
        f"internal error, {type(error).__name__}: this is a bug; {where}", hint=REPORT_TO
    )


def print_trace(trace: str, stream: TextIO | None = None) -> None:
    """Write a traceback that was scrubbed before."""
    try:
        (stream or sys.stderr).write(plain(trace))
    except (OSError, ValueError):
        return


def _colours(stream: TextIO) -> tuple[str, str, str]:
    if stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        return "\x1b[1;31m", "\x1b[33m", "\x1b[0m"
    return "", "", ""
