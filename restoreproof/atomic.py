"""Files that exist wholly or not at all, also after a power cut.

The order is: write a temporary file in the same folder, fsync it, rename it, fsync the folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from restoreproof.errors import NoSpace, Refused, RestoreproofError, Unreachable
from restoreproof.quantities import readable_size

PART_SUFFIX = ".part"
"""Temporary files are named ``.….part``: hidden, and known by this end to whoever sweeps."""

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the file system or the limit on file size allows",
}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100


@contextmanager
def durable_file(
    path: Path,
    mode: int = 0o600,
    *,
    exclusive: bool = False,
    expected: int | None = None,
    alone: bool = False,
) -> Iterator[BinaryIO]:
    """A file to write to, that appears under ``path`` when the block ends well, else never.

    When the block raises, or writing fails, the temporary file is removed and what stood under
    ``path`` before is untouched.

    Args:
        path: the final name; its folder exists.
        mode: permissions, whatever the umask.
        exclusive: refuse to replace a file that is there already.
        expected: size in bytes, where it is known beforehand, for the hint on a full disk.
        alone: nobody else writes this file at the same time, so that a temporary file which a
            killed writer left can be told, and goes.

    Raises:
        NoSpace: disk, quota or file size limit; also when another file of the block hit it.
        Refused: ``exclusive``, and there is a file.
        Unreachable: the folder is missing, not writable, or the device fails.
        OSError: only what the block itself raises about anything but space.
    """
    name = path.name if alone else secrets.token_hex(8)
    temporary = path.with_name(f".{name}{PART_SUFFIX}")
    with _translated(path.parent, expected, None):
        if alone:
            temporary.unlink(missing_ok=True)
        file = _open(temporary, mode)
    try:
        with _space_errors(path.parent, expected, file):
            yield file
        with _translated(path.parent, expected, file):
            file.flush()
            _fsync(file.fileno())
            file.close()
            if exclusive:
                _publish_new(temporary, path)
            else:
                temporary.replace(path)
            fsync_folder(path.parent)
    finally:
        _abandon(file, temporary)


def write_bytes(
    path: Path, data: bytes, mode: int = 0o600, *, exclusive: bool = False, alone: bool = False
) -> None:
    """Write a whole file durably; see :func:`durable_file`."""
    with durable_file(path, mode, exclusive=exclusive, expected=len(data), alone=alone) as file:
        file.write(data)


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder and its missing parents, so that they outlive a power cut.

    Raises:
        NoSpace: there is no room.
        Refused: something that is no folder is in the way.
        Unreachable: it cannot be made.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        if path == path.parent:
            break
        path = path.parent
    for folder in reversed(missing):
        with _translated(folder.parent, None, None):
            folder.mkdir(mode, exist_ok=True)
            fsync_folder(folder.parent)


def fsync_folder(path: Path) -> None:
    """Make names in this folder durable: what was renamed, linked or removed in it.

    Raises:
        OSError: the device fails. File systems that know no such thing are passed over.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(fd)


def space_error(
    error: OSError, folder: Path, expected: int | None = None, *, regained: int = 0
) -> NoSpace | None:
    """``error`` as :class:`NoSpace` with how much is free in ``folder``; None if it is another.

    Args:
        error: what the system said.
        folder: a folder on the disk in question.
        expected: bytes that are needed, where that is known.
        regained: bytes that become free by removing what was begun.
    """
    reason = _FULL.get(error.errno or 0)
    if reason is None:
        return None
    hint = "make room or choose another disk"
    with contextlib.suppress(OSError):
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize + regained
        needed = "" if expected is None else f" and {readable_size(expected)} are needed"
        hint = f"{readable_size(free)} are free{needed}: {hint}"
    return NoSpace(reason, hint=hint)


def _open(temporary: Path, mode: int) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(temporary, flags, mode)
    try:
        os.fchmod(fd, mode)
        return io.BufferedWriter(io.FileIO(fd, "wb"), 128 * 1024)
    except BaseException:
        os.close(fd)
        temporary.unlink(missing_ok=True)
        raise


def _abandon(file: BinaryIO, temporary: Path) -> None:
    if not file.closed:
        with contextlib.suppress(OSError):
            file.close()  # flushes again, and fails again
    temporary.unlink(missing_ok=True)


def _fsync(fd: int) -> None:
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone stops at the drive's cache
    if full is not None:
        fcntl.fcntl(fd, full)
    else:
        os.fsync(fd)


def _publish_new(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_new(temporary, path)


def _rename_new(temporary: Path, path: Path) -> None:
    """Rename without replacing, where the file system knows no links (renameat2(2), Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        rename = libc.renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    old, new = os.fsencode(temporary), os.fsencode(path)
    if rename(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        kind = FileExistsError if number == errno.EEXIST else OSError
        raise kind(number, os.strerror(number))


@contextmanager
def _space_errors(folder: Path, expected: int | None, file: BinaryIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = space_error(error, folder, expected, regained=_occupied(file))
        if full is None:
            raise
        raise full from error


@contextmanager
def _translated(folder: Path, expected: int | None, file: BinaryIO | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        regained = _occupied(file) if file else 0
        full = space_error(error, folder, expected, regained=regained)
        raise full or _refused(error) from error


def _refused(error: OSError) -> RestoreproofError:
    if isinstance(error, FileExistsError):
        return Refused("there is a file of that name already", hint="nothing was overwritten")
    reason = (error.strerror or "unknown reason").lower()
    return Unreachable(
        f"a file could not be written: {reason}",
        hint="check that the folder exists, is writable for this user, and its device is well",
    )


def _occupied(file: BinaryIO) -> int:
    with contextlib.suppress(OSError, ValueError):
        return os.fstat(file.fileno()).st_blocks * 512
    return 0
