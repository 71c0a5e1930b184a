"""Reading ahead: what an iterator yields is made in a thread of its own, a few items early."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


@contextmanager
def read_ahead(items: Iterator[T], depth: int) -> Iterator[Iterator[T]]:
    """The same items, in the same order, ``depth`` of them made before they are asked for.

    Worth its while where making an item and using it both take time outside of the interpreter's
    lock: disk, compression, digests.
    When the block ends, however it ends, the thread is gone and ``items`` is closed.

    Args:
        items: used by the thread alone.
        depth: items that wait at most; they are what it costs in memory.

    Raises:
        Exception: whatever ``items`` raises, in its place among the items.
    """
    ahead = _Ahead(items, depth)
    try:
        yield ahead.taken()
    finally:
        ahead.stop()


class _Ahead(Generic[T]):
    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._made: queue.Queue[tuple[T] | None] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._make, name="read-ahead", daemon=True)
        self._thread.start()

    def taken(self) -> Iterator[T]:
        while (item := self._made.get()) is not None:
            yield item[0]
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _make(self) -> None:
        try:
            for item in self._items:
                if not self._put((item,)):
                    break
        except BaseException as error:  # noqa: BLE001  # raised where the item was wanted
            self._error = error
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
            self._put(None)

    def _put(self, item: tuple[T] | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._made.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False
