"""A folder for the temporary files of one run, swept by the next when its owner was killed.

::

    FOLDER/restoreproof-run-PID-STARTED-RANDOM/      mode 0700, locked by its owner while it lives

Two signs say that an owner lives: the kernel's lock on the folder, which is right across containers
that share a disk, and the process in its name, where a file system does not lock.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from restoreproof.atomic import space_error
from restoreproof.errors import Unreachable
from restoreproof.machine import Process, lives, myself

_PREFIX = "restoreproof-run-"
_NAME = re.compile(re.escape(_PREFIX) + r"(\d+)-(\d*)-[^/]+")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder of our own, mode 0700, gone with all that is in it when the block ends.

    What killed runs of this user left in ``parent`` is removed first.

    Args:
        parent: an existing folder on a disk with room; else the system's for temporary files.

    Raises:
        NoSpace, Unreachable: it cannot be made there.
    """
    try:
        parent = parent or Path(tempfile.gettempdir())
        sweep(parent)
        folder, lock = _make(parent)
    except OSError as error:
        raise _translated(error, parent) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep(parent: Path) -> tuple[Path, ...]:
    """Remove the folders of owners that are gone; those of living ones are not touched."""
    return tuple(folder for folder in sorted(parent.glob(f"{_PREFIX}*")) if _swept(folder))


def _make(parent: Path) -> tuple[Path, int]:
    process = myself()
    while True:
        prefix = f"{_PREFIX}{process.pid}-{process.started}-"
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            lock = os.open(folder, _FOLDER)
        except FileNotFoundError:
            continue
        with suppress(OSError):  # not on this file system
            fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), folder.lstat()):
                return folder, lock
        os.close(lock)  # a sweeper that cannot see our process was quicker than the lock


def _swept(folder: Path) -> bool:
    name = _NAME.fullmatch(folder.name)
    if name is None or lives(Process(int(name[1]), name[2])):
        return False
    try:
        lock = os.open(folder, _FOLDER)
    except OSError:
        return False
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    except OSError:
        return False  # its owner holds it, elsewhere; or nobody can say
    finally:
        os.close(lock)


def _translated(error: OSError, parent: Path | None) -> Exception:
    full = space_error(error, parent) if parent is not None else None
    return full or Unreachable(
        f"no folder for temporary files can be made in {parent or 'the usual places'}: "
        f"{error.strerror or error}",
        hint="name a folder that is there and writable for this user, such as by TMPDIR",
    )
