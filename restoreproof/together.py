"""Several pieces of work at once: the first failure stops the others, and nothing outlives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from restoreproof.process import Cancellation

_TICK = 0.2


class LinkedCancellation(Cancellation):
    """Requested when it is asked for itself, or when its parent is."""

    def __init__(self, parent: Cancellation) -> None:
        super().__init__()
        self._parent = parent

    @property
    def requested(self) -> bool:
        return super().requested or self._parent.requested


def together(
    cancel: Cancellation, pieces: Mapping[str, Callable[[Cancellation], Any]]
) -> dict[str, Any]:
    """Run all pieces, each in a thread of its own, to the end.

    When one raises, or ``cancel`` is requested, the others are asked to stop through the
    cancellation each of them is given; all threads have ended when this returns or raises.

    Args:
        cancel: of the whole.
        pieces: name of the thread, and the work.

    Returns:
        what each piece returned, by name.

    Raises:
        Exception: the first failure, by time. What the others raise on being stopped is dropped.
        Interrupted: ``cancel`` was requested.
    """
    cancel.check()
    linked = LinkedCancellation(cancel)
    first: list[BaseException] = []

    def guarded(work: Callable[[Cancellation], Any]) -> Any:  # noqa: ANN401 - whatever it returns
        try:
            return work(linked)
        except BaseException as error:
            first.append(error)
            linked.request()
            raise

    with ThreadPoolExecutor(len(pieces), thread_name_prefix="together") as pool:
        running: dict[str, Future[Any]] = {}
        try:
            for name, work in pieces.items():
                running[name] = pool.submit(guarded, work)
            pending = set(running.values())
            while pending:
                _, pending = wait(pending, _TICK, FIRST_COMPLETED)
        except BaseException:
            linked.request()  # Ctrl-C in this thread
            raise
    if first:
        cancel.check()
        raise first[0]
    return {name: future.result() for name, future in running.items()}
