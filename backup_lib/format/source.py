"""From a stored artifact back to its plain bytes: digest, zstd and sizes checked on the way."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from backup_lib.destinations.base import Destination, SetRef
from backup_lib.format.blocks import Blocks
from backup_lib.format.integrity import BLOCK, HashedReader, open_stored
from backup_lib.model import Artifact, StoreRecord
from restoreproof.ahead import read_ahead
from restoreproof.atomic import space_error
from restoreproof.errors import InternalError, NoSpace, Unreachable
from restoreproof.process import Cancellation

MAX_WINDOW = 8 << 20
"""Bytes; the largest window that zstd levels up to 19 write. More is refused: it costs memory."""

_BLOCKS_AHEAD = 4


class StoredArtifactSource:
    """Hands out the artifacts of one store of a set; see ``backup_lib.stores.base``.

    Args:
        destination: where the set is kept.
        ref: the set.
        record: what its signed manifest says of the store.
        cancel: asks it to stop.
    """

    def __init__(
        self,
        destination: Destination,
        ref: SetRef,
        record: StoreRecord,
        cancel: Cancellation | None = None,
    ) -> None:
        self._destination = destination
        self._ref = ref
        self._record = record
        self._cancel = cancel or Cancellation()

    @property
    def record(self) -> StoreRecord:
        return self._record

    def _artifact(self, role: str) -> Artifact:
        for artifact in self._record.artifacts:
            if artifact.role == role:
                return artifact
        raise InternalError(f"store {self._record.name!r} has no artifact {role!r}")

    @contextmanager
    def open(self, role: str) -> Iterator[BinaryIO]:
        """The plain bytes of the artifact with that role, as a stream.

        The last bytes are handed out only after the whole artifact has been judged good, so a
        reader that takes as many bytes as it expects cannot miss the judgement.
        """
        artifact = self._artifact(role)
        with (
            open_stored(self._destination, self._ref, artifact) as stored,
            _closed(self._plain_blocks(stored, artifact)) as blocks,
            io.BufferedReader(Blocks(_last_one_held_back(blocks)), BLOCK) as reader,
        ):
            yield reader

    def stage(self, role: str, folder: Path) -> Path:
        """The plain bytes as a new file in ``folder``, mode 0600, handed out when judged good.

        Raises:
            NoSpace: there is no room for it.
            JudgedBad: the stored bytes are not those of the manifest; the file is removed.
            Unreachable: the destination broke off, or the folder cannot be written.
        """
        artifact = self._artifact(role)
        try:
            free = shutil.disk_usage(folder).free
            if free < artifact.plain_size:
                raise NoSpace(
                    f"staging {artifact.name} takes {artifact.plain_size} bytes, "
                    f"{folder} has {free} free",
                    hint="make room there, or choose a folder on a larger disk (TMPDIR)",
                )
            descriptor, name = tempfile.mkstemp(prefix="artifact-", dir=folder)
        except OSError as error:
            raise _folder_error(folder, error) from error
        path = Path(name)
        try:
            with (
                open(descriptor, "wb", buffering=0) as file,  # noqa: PTH123 - an open descriptor
                open_stored(self._destination, self._ref, artifact) as stored,
                read_ahead(self._plain_blocks(stored, artifact), _BLOCKS_AHEAD) as blocks,
            ):
                for block in blocks:
                    _write(file, block, folder)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        return path

    def _plain_blocks(
        self, stored: HashedReader, artifact: Artifact
    ) -> Generator[bytes, None, None]:
        """Plain blocks; ends without an error only when the whole artifact is good."""
        plain_size = 0
        with read_ahead(_stored_blocks(stored), _BLOCKS_AHEAD) as ahead:
            for block in _decompressed(ahead, stored, artifact):
                self._cancel.check()
                plain_size += len(block)
                if plain_size > artifact.plain_size:
                    raise stored.bad(f"unpacks to more than its {artifact.plain_size} bytes")
                yield block
            for _ in ahead:
                pass  # what follows the compressed data counts for the digest
        stored.check()
        if plain_size != artifact.plain_size:
            raise stored.bad(f"unpacks to {plain_size} bytes instead of {artifact.plain_size}")


def _stored_blocks(stored: HashedReader) -> Iterator[bytes]:
    while block := stored.read(BLOCK):
        yield block


def _decompressed(
    ahead: Iterator[bytes], stored: HashedReader, artifact: Artifact
) -> Iterator[bytes]:
    if not artifact.compression:
        yield from ahead
        return
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    try:
        # at most a block at a time: what unpacks to more is stopped by its size
        # (it asks its source for nothing but read, and takes what it gets)
        source = cast("BinaryIO", _Reader(ahead))
        with decompressor.stream_reader(source, read_size=BLOCK, closefd=False) as plain:
            while block := plain.read(BLOCK):
                yield block
    except zstandard.ZstdError as error:
        raise stored.bad(f"cannot be unpacked: {error}") from None


class _Reader:
    """Blocks by a ``read`` method."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def read(self, _size: int) -> bytes:
        return next(self._blocks, b"")


@contextmanager
def _closed(blocks: Generator[bytes, None, None]) -> Iterator[Iterator[bytes]]:
    """Nothing is read ahead any more when the block ends."""
    try:
        yield blocks
    finally:
        with suppress(ValueError):  # a thread that was given up is still in it
            blocks.close()


def _last_one_held_back(blocks: Iterator[bytes]) -> Iterator[bytes]:
    held = next(blocks, None)
    while held is not None:
        following = next(blocks, None)
        yield held
        held = following


def _write(file: io.FileIO, block: bytes, folder: Path) -> None:
    view = memoryview(block)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise _folder_error(folder, error) from error


def _folder_error(folder: Path, error: OSError) -> NoSpace | Unreachable:
    return space_error(error, folder) or Unreachable(
        f"the folder {folder} cannot be written: {error.strerror or error}",
        hint="choose another folder for temporary files (TMPDIR)",
    )
