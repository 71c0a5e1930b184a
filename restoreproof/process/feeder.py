"""The thread that writes a child's stdin."""

from __future__ import annotations

import errno
import os
import select
import threading
from collections.abc import Iterable, Iterator
from typing import IO, BinaryIO, TypeAlias

CHUNK = 1024 * 1024
Piece: TypeAlias = bytes | bytearray | memoryview
Source: TypeAlias = Iterable[Piece] | BinaryIO


class Feeder:
    """Writes a source to a pipe from a thread of its own.

    At the end of the source the pipe is closed: the child sees the end of its input. After an
    error of the source, or :meth:`halt`, it stays *open* until :meth:`close`, by when the child
    has to be gone: taking a broken-off input for a whole one, it might commit half a restore.
    A child that closes its stdin early is no error here: its exit code decides.

    Attributes:
        written: bytes the pipe has taken.
        producing: whether the thread waits for the source rather than for the child.
        finished: whether nothing more will be written.
        error: what the source raised.
    """

    def __init__(self, source: Source, pipe: IO[bytes], name: str) -> None:
        self._source = source
        self._pipe = pipe
        self._halted = threading.Event()
        self.written = 0
        self.producing = False
        self.finished = False
        self.error: BaseException | None = None
        os.set_blocking(pipe.fileno(), False)
        self._thread = threading.Thread(target=self._feed, name=name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Let the thread come to its own end, for some time."""
        self._thread.join(seconds)

    def halt(self) -> None:
        """Write no more; the pipe stays open."""
        self._halted.set()

    def close(self, seconds: float) -> None:
        """Halt, wait for the thread and close the pipe. The child has to be gone.

        A source that blocks can not be interrupted from outside. After ``seconds`` the thread is
        left to it; it ends as soon as the source gives or raises something.
        """
        self.halt()
        self._thread.join(seconds)
        self._pipe.close()

    def _feed(self) -> None:
        try:
            pieces = self._pieces()
            try:
                self._write_all(pieces)
            finally:
                close = getattr(pieces, "close", None)  # a generator cleans up in its own thread
                if close is not None:
                    close()
            if not self._halted.is_set():
                self._pipe.close()
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            self.error = error
        finally:
            self.producing = False
            self.finished = True

    def _pieces(self) -> Iterator[Piece]:
        if hasattr(self._source, "read"):
            return _chunks(self._source)  # type: ignore[arg-type]  # by its read method a file
        return iter(self._source)

    def _write_all(self, pieces: Iterator[Piece]) -> None:
        while not self._halted.is_set():
            self.producing = True
            piece = next(pieces, None)
            self.producing = False
            if piece is None:
                return
            with memoryview(piece) as view, view.cast("B") as octets:
                if not self._write(octets):
                    return

    def _write(self, octets: memoryview) -> bool:
        fd = self._pipe.fileno()
        writable = select.poll()
        writable.register(fd, select.POLLOUT)
        at = 0
        while at < len(octets):
            if not writable.poll(100):
                if self._halted.is_set():
                    return False
                continue
            try:
                count = os.write(fd, octets[at:])
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return False
            at += count
            self.written += count
        return True


def _chunks(file: BinaryIO) -> Iterator[Piece]:
    readinto = getattr(file, "readinto", None)
    if readinto is None:
        while piece := file.read(CHUNK):
            yield piece
        return
    with memoryview(bytearray(CHUNK)) as view:
        while count := readinto(view):
            yield view[:count]
    if count is None:  # taking this for the end would cut the input short
        raise BlockingIOError(errno.EAGAIN, "the source of a child's stdin has to block")
