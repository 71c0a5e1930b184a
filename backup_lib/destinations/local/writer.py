"""An unpublished set in a folder of its own."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from backup_lib.destinations.base import MANIFEST_NAME
from backup_lib.destinations.local.tree import errors_of, translated
from restoreproof.atomic import durable_file, make_folder
from restoreproof.errors import InternalError, NoSpace
from restoreproof.locks import Lock
from restoreproof.pathnames import is_safe_path

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LOOK_EVERY = 8 << 20


class Space:
    """The free space of a destination, and how much of it is left alone."""

    def __init__(self, root: Path, reserve: int) -> None:
        self.root = root
        self._reserve = reserve

    def free(self) -> int:
        """Bytes that may still be written."""
        with errors_of(self.root):
            return shutil.disk_usage(self.root).free - self._reserve

    def check(self) -> None:
        """Raise :class:`~restoreproof.errors.NoSpace` when nothing may be written any more."""
        free = self.free()
        if free <= 0:
            raise NoSpace(
                f"the destination {self.root} has {max(0, free + self._reserve)} bytes free and "
                f"{self._reserve} of them are to be left alone",
                hint="thin out old sets there, make room, or lower its reserve",
            )


class LocalSetWriter:
    """Writes into the folder of one set; see ``backup_lib.destinations.base.SetWriter``."""

    def __init__(self, folder: Path, space: Space, lock: Lock) -> None:
        self._folder = folder
        self._space = space
        self._lock = lock
        self.published = False

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        if not is_safe_path(name) or name == MANIFEST_NAME:
            raise InternalError(f"{name!r} is not the name of an artifact")
        path = self._folder / name
        self._space.check()
        make_folder(path.parent)
        with durable_file(path, exclusive=True) as file:
            # a raw stream does all that writers do; only its nominal type differs
            yield cast("BinaryIO", _WatchedFile(file, self._space))

    def publish(self, manifest: bytes) -> None:
        if self.published:
            raise InternalError("a set was published twice")
        self._lock.check()
        with durable_file(
            self._folder / MANIFEST_NAME, exclusive=True, expected=len(manifest)
        ) as file:
            file.write(manifest)
        self.published = True


class _WatchedFile(io.RawIOBase):
    """Writes through to a file, looking at the free space every few megabytes."""

    def __init__(self, file: BinaryIO, space: Space) -> None:
        self._file = file
        self._space = space
        self._since_look = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        with memoryview(data) as view:
            size = view.nbytes
        self._since_look += size
        if self._since_look >= _LOOK_EVERY:
            self._since_look = 0
            self._space.check()
        try:
            self._file.write(data)
        except OSError as error:
            raise translated(self._space.root, error) from error
        return size

    def tell(self) -> int:
        return self._file.tell()
