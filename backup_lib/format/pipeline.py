"""From plain bytes to a stored artifact: zstd, SHA-256, destination, each off the caller's thread.

::

    caller ── write ──► zstd's own threads ── blocks ──► one thread: SHA-256, then the destination
           ◄─ waits while both are behind ─┘

In flight are at most :data:`QUEUE_BLOCKS` compressed blocks of :data:`BLOCK` bytes and what zstd
holds (about ``threads + 2`` jobs of :data:`JOB` bytes), whatever the size of the data.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import zstandard

from backup_lib.destinations.base import SetWriter
from backup_lib.format.names import artifact_name
from backup_lib.model import Artifact
from backup_lib.work import Work
from restoreproof.errors import InternalError
from restoreproof.process import Cancellation

DEFAULT_LEVEL = 3
MAX_LEVEL = 19
BLOCK = 1 << 20
JOB = 2 << 20
QUEUE_BLOCKS = 4
_MAX_THREADS = 4
_COMPRESSOR_MEMORY = 64 << 20
_TELL_EVERY = 4 << 20
_POLL_SECONDS = 0.2


class StoredArtifactSink:
    """Stores the artifacts of one store in an unpublished set; safe for several threads.

    Args:
        writer: the unpublished set.
        store: name of the store, which the artifacts' names begin with.
        work: who may cancel, and how much may run in parallel.
        level: of zstd, 1 to 19; from 10 on it takes much more time and memory.
        progress: told the plain bytes taken so far, over all artifacts, every few megabytes.
    """

    def __init__(
        self,
        writer: SetWriter,
        store: str,
        work: Work,
        *,
        level: int = DEFAULT_LEVEL,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> None:
        if not 1 <= level <= MAX_LEVEL:
            raise ValueError(f"zstd levels are 1 to {MAX_LEVEL}, not {level}")
        self._writer = writer
        self._store = store
        self._work = work
        self._level = level
        self._progress = progress
        self._lock = threading.Lock()
        self._taken = 0
        self._told = 0
        self._opened: dict[str, Artifact | None] = {}

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The records of what is stored so far, in the order in which they were opened."""
        with self._lock:
            return tuple(record for record in self._opened.values() if record)

    @contextmanager
    def open(self, name: str, *, role: str, media_type: str) -> Iterator[Compressing]:
        """See :class:`~backup_lib.stores.base.ArtifactSink`.

        Raises:
            NoSpace, Unreachable: from the destination, at the latest when the block ends. Of
                several errors the first one surfaces.
        """
        stored_name = artifact_name(self._store, name)
        with self._lock:
            if stored_name in self._opened:
                raise InternalError(f"artifact {stored_name!r} was opened twice")
            self._opened[stored_name] = None
        with self._writer.create(stored_name) as stream:
            output = _StoringThread(stream, self._work.cancel)
            artifact = Compressing(stored_name, output, self._compressor(), self._count)
            try:
                yield artifact
                artifact.finish()
            except Exception as error:
                output.abandon()
                first = output.error or artifact.error
                if first is None or first is error:
                    raise
                raise first from error
            except BaseException:
                output.abandon()
                raise
        record = Artifact(
            name=stored_name,
            role=role,
            media_type=media_type,
            size=output.size,
            sha256=output.sha256,
            plain_size=artifact.plain_size,
        )
        with self._lock:
            self._opened[stored_name] = record

    def _compressor(self) -> zstandard.ZstdCompressor:
        context = zstandard.ZstdCompressionParameters.from_level(self._level)
        affordable = _COMPRESSOR_MEMORY // context.estimated_compression_context_size()
        threads = max(1, min(self._work.jobs, _MAX_THREADS, affordable))
        parameters = zstandard.ZstdCompressionParameters.from_level(
            self._level,
            threads=threads,
            job_size=max(JOB, 1 << context.window_log),
            write_checksum=True,
            write_content_size=False,
        )
        return zstandard.ZstdCompressor(compression_params=parameters)

    def _count(self, taken: int) -> None:
        with self._lock:
            self._taken += taken
            if self._taken - self._told < _TELL_EVERY:
                return
            self._told = done = self._taken
        self._progress(done)


class Compressing:
    """Takes the plain bytes of one artifact."""

    def __init__(
        self,
        name: str,
        output: _StoringThread,
        compressor: zstandard.ZstdCompressor,
        count: Callable[[int], None],
    ) -> None:
        self._name = name
        self._output = output
        self._chunker = compressor.chunker(chunk_size=BLOCK)
        self._count = count
        self.plain_size = 0
        self.error: Exception | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; waits while the destination is behind."""
        with memoryview(data) as whole, whole.cast("B") as view:
            for start in range(0, len(view), BLOCK):
                piece = view[start : start + BLOCK]
                self._pass_on(self._chunker.compress(piece))
                self.plain_size += len(piece)
                self._count(len(piece))

    def finish(self) -> None:
        """End the frame and wait until everything is written."""
        if self.error:  # a source that swallowed it does not get half an artifact stored
            raise self.error
        last: Iterator[bytes] = self._chunker.finish()  # type: ignore[no-untyped-call] # zstandard leaves it untyped
        self._pass_on(last)
        self._output.close()

    def _pass_on(self, blocks: Iterator[bytes]) -> None:
        try:
            for block in blocks:
                self._output.put(block)
        except zstandard.ZstdError as error:
            self.error = InternalError(f"compressing {self._name} failed: {error}")
            raise self.error from error
        except Exception as error:
            self.error = error
            raise


class _StoringThread:
    """Hashes and writes blocks in order on a thread of its own."""

    def __init__(self, stream: BinaryIO, cancel: Cancellation) -> None:
        self._stream = stream
        self._cancel = cancel
        self._digest = hashlib.sha256()
        self._blocks: queue.Queue[bytes | None] = queue.Queue(QUEUE_BLOCKS)
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-artifact", daemon=True)
        self.size = 0
        self.error: Exception | None = None
        self._thread.start()

    @property
    def sha256(self) -> str:
        """Hex digest of all bytes written."""
        return self._digest.hexdigest()

    def put(self, block: bytes | None) -> None:
        """Hand over a block (None: the last was handed over); waits for room."""
        while True:
            self._cancel.check()
            if self.error:
                raise self.error
            try:
                return self._blocks.put(block, timeout=_POLL_SECONDS)
            except queue.Full:
                continue

    def close(self) -> None:
        """Wait until everything handed over is written; raises what went wrong."""
        self.put(None)
        while self._thread.is_alive():
            self._cancel.check()
            self._thread.join(_POLL_SECONDS)
        if self.error:
            raise self.error

    def abandon(self) -> None:
        """Write nothing more; returns when the stream is no longer in use."""
        self._abandoned.set()
        while self._thread.is_alive():
            try:
                self._blocks.put(None, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            self._thread.join(_POLL_SECONDS)

    def _run(self) -> None:
        try:
            while (block := self._blocks.get()) is not None and not self._abandoned.is_set():
                self._digest.update(block)
                self._stream.write(block)
                self.size += len(block)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller's thread raises it
            self.error = error
