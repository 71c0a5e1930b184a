"""Reading files as streams: told, and cancellable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from restoreproof.events import Step
from restoreproof.process import Cancellation

CHUNK = 1 << 18


class Track:
    """Counts what was read, tells it, and stops when asked to."""

    def __init__(self, running: Step, cancel: Cancellation) -> None:
        self._running = running
        self._cancel = cancel

    def took(self, octets: int) -> None:
        """``octets`` more of the stored bytes were read.

        Raises:
            Interrupted: the run is to stop.
        """
        self._cancel.check()
        self._running.advance(octets)


def chunks(path: Path, track: Track) -> Iterator[bytes]:
    """The stored bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            track.took(len(chunk))
            yield chunk
