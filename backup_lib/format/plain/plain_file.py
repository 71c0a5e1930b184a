"""A plain file as a store's restorer gets it: decompressed, whatever it is compressed with."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backup_lib.format.blocks import Blocks
from backup_lib.format.plain.kinds import PlainKind
from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.format.plain.reading import CHUNK
from backup_lib.work import Work
from restoreproof.atomic import space_error
from restoreproof.errors import Inconclusive, Unreachable


@dataclass(frozen=True, slots=True)
class PlainFile:
    """See :class:`backup_lib.stores.base.ForeignFile`, which it fulfils.

    Attributes:
        path: the file or folder.
        kind: what it is.
        work: asked whether to stop; its scratch folder takes what has to be decompressed.
    """

    path: Path
    kind: PlainKind
    work: Work

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        with self._opened() as stored:
            blocks = Blocks(iter(PlainStream(self._chunks(stored))))
            with io.BufferedReader(blocks, CHUNK) as reader:
                yield reader

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        if self.path.is_dir() or not self._compressed():
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="restore-", dir=self.work.scratch) as folder:
            plain = Path(folder, "plain")
            with self.open() as stream:
                self._write(stream, plain)
            yield plain

    def _compressed(self) -> bool:
        with self._opened() as stored:
            return bool(PlainStream(self._chunks(stored)).compression)

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise _unreadable(error) from error

    def _chunks(self, stored: BinaryIO) -> Iterator[bytes]:
        while chunk := self._read(stored):
            self.work.cancel.check()
            yield chunk

    def _read(self, stored: BinaryIO) -> bytes:
        try:
            return stored.read(CHUNK)
        except OSError as error:
            raise _unreadable(error) from error

    def _write(self, stream: BinaryIO, plain: Path) -> None:
        try:
            with plain.open("xb") as file:
                while piece := stream.read(CHUNK):
                    file.write(piece)
        except OSError as error:
            scratch = self.work.scratch
            raise space_error(error, scratch) or Unreachable(
                f"it cannot be decompressed into {scratch}: {error.strerror or error}",
                hint="choose another folder for temporary files (TMPDIR)",
            ) from error


def _unreadable(error: OSError) -> Inconclusive:
    return Inconclusive(
        f"it cannot be read: {(error.strerror or 'unknown reason').lower()}",
        hint="check its permissions and the device that it is on",
    )
