"""Files of other people: found without following links, read with a bound, never executed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from restoreproof.errors import Inconclusive
from restoreproof.quantities import readable_size


def read_bounded(path: Path, root: Path, most: int) -> bytes:
    """The bytes of a regular file.

    Args:
        path: of the file; a link is followed as long as it stays below ``root``.
        root: the folder that nothing outside of is read.
        most: bytes; a larger file is not read at all.

    Raises:
        Inconclusive: it is larger, not a regular file, leads outside, or cannot be read.
    """
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise Inconclusive("it is a link that leads out of what is scanned")
        # a FIFO would make an ordinary open wait for ever
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its path leads nowhere"
        raise Inconclusive(f"it cannot be read: {reason}") from None
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise Inconclusive("it is not a regular file")
    with os.fdopen(handle, "rb") as file:
        if facts.st_size > most:
            size, bound = readable_size(facts.st_size), readable_size(most)
            raise Inconclusive(f"it is {size} large, more than {bound}")
        try:
            raw = file.read(most + 1)
        except OSError as error:
            raise Inconclusive(f"it cannot be read: {error.strerror}") from None
    if len(raw) > most:
        raise Inconclusive(f"it is larger than {readable_size(most)}")
    return raw


def resolved(path: Path) -> Path:
    """Where a path leads.

    Raises:
        Inconclusive: to nothing that can be: it goes in a circle, or is no path at all.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        raise Inconclusive("a path in it leads nowhere") from None


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What a folder holds, sorted by name.

    Raises:
        Inconclusive: it cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            yield from sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise Inconclusive(f"the folder cannot be read: {error.strerror}") from None


def relative(path: Path, root: Path) -> str:
    """The path below the root, with ``/``; as it is where it lies elsewhere."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
