"""What a restore has written into a live server, so that this and nothing else can be removed."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from restoreproof.atomic import space_error
from restoreproof.errors import Unreachable

_HEAD = struct.Struct("<II")
_BATCH = 500


class Written:
    """Names of keys, in a temporary file: there may be more of them than memory.

    Each is noted when it was sent; one that the server refused is taken back. Made by
    :func:`noting`.
    """

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        self._file = file
        self._folder = folder

    def note(self, database: int, names: Sequence[bytes]) -> None:
        """These are about to be sent.

        Raises:
            NoSpace, Unreachable: it cannot be noted; nothing may be sent then.
        """
        try:
            self._file.seek(0, 2)
            for name in names:
                self._file.write(_HEAD.pack(database, len(name)) + name)
            self._file.flush()
        except OSError as error:
            raise space_error(error, self._folder) or Unreachable(
                f"the scratch folder {self._folder} broke off: {error.strerror or error}",
                hint="look at its disk",
            ) from error

    def mark(self) -> int:
        """The place in the notes that :meth:`back_to` goes back to."""
        return self._file.seek(0, 2)

    def back_to(self, mark: int) -> None:
        """Forget what was noted since."""
        self._file.truncate(mark)

    def batches(self) -> Iterator[tuple[int, list[bytes]]]:
        """Logical database and names, some hundred at a time."""
        self._file.seek(0)
        batch: list[bytes] = []
        before = 0
        while head := self._file.read(_HEAD.size):
            database, length = _HEAD.unpack(head)
            if batch and (database != before or len(batch) == _BATCH):
                yield before, batch
                batch = []
            batch.append(self._file.read(length))
            before = database
        if batch:
            yield before, batch


@contextmanager
def noting(folder: Path) -> Iterator[Written]:
    """Notes in that folder, for the length of the block."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Written(file, folder)
