"""The beginning of a file that somebody else put there: a pipe in its place holds nobody up."""

from __future__ import annotations

import os
import stat
from pathlib import PurePath


def peek(path: PurePath, most: int, *, follow: bool = False) -> bytes | None:
    """The first bytes of a regular file; None where it cannot be read.

    Args:
        path: of the file.
        most: bytes that are read.
        follow: read what a link leads to; without it, a link cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most)
    except OSError:
        return None
    finally:
        os.close(handle)
