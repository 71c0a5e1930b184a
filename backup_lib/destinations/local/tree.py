"""Opening what lies below a folder, without following any symbolic link on the way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restoreproof.atomic import space_error
from restoreproof.errors import ConfigError, NoSpace, Unreachable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def require_folder(root: Path) -> None:
    """Make sure that the destination itself is there.

    Raises:
        ConfigError: it is a file.
        Unreachable: it is missing or may not be looked at.
    """
    try:
        status = root.stat()
    except FileNotFoundError:
        raise Unreachable(
            f"the destination folder {root} does not exist",
            hint=f"is its disk mounted? If it is to be a new one: mkdir -m 700 {root}",
        ) from None
    except OSError as error:
        raise Unreachable(
            f"the destination folder {root} cannot be reached: {error.strerror}"
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigError(
            f"the destination path {root} is not a folder", hint="give a folder", key="path"
        )


def open_file(root: Path, parts: tuple[str, ...]) -> int:
    """A descriptor of the regular file ``parts`` below ``root``.

    Raises:
        FileNotFoundError: there is none, or something else (a link, a folder, a pipe) is there.
        OSError: it may not be read.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        found = os.open(parts[-1], _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise FileNotFoundError(errno.ENOENT, "no such file", "/".join(parts)) from None
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise FileNotFoundError(errno.ENOENT, "not a regular file", "/".join(parts))
    return found


def is_file(root: Path, parts: tuple[str, ...]) -> bool:
    """Whether there is such a regular file."""
    try:
        os.close(open_file(root, parts))
    except FileNotFoundError:
        return False
    return True


def folders(folder: Path) -> tuple[str, ...]:
    """Names of the real folders in ``folder``, sorted; hidden ones are left out."""
    try:
        with os.scandir(folder) as entries:
            return tuple(
                sorted(
                    entry.name
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
                )
            )
    except (FileNotFoundError, NotADirectoryError):
        return ()


@contextmanager
def errors_of(root: Path) -> Iterator[None]:
    """What the operating system says, in this project's words."""
    try:
        yield
    except OSError as error:
        raise translated(root, error) from error


def translated(root: Path, error: OSError) -> NoSpace | Unreachable:
    """``error`` as an error about the destination ``root``."""
    full = space_error(error, root)
    if full is not None:
        return NoSpace(f"the destination {root}: {full.message}", hint=full.hint)
    return Unreachable(
        f"the destination {root} broke off: {error.strerror or error}",
        hint=f"look at the disk and at the permissions of {root}",
    )
