"""What a service tells while it works: frozen events, and whoever listens.

Services emit, reporters listen (console, JSON lines, metrics); neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step began. ``total`` is in ``unit`` where it is known beforehand."""

    step: str
    title: str
    total: int | None = None
    unit: Literal["bytes", "rows", "items"] = "bytes"


@dataclass(frozen=True, slots=True)
class StepProgress:
    """``done`` units of the step are finished (absolute, not a difference)."""

    step: str
    done: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended. ``outcome`` is one readable phrase, such as ``12 tables, 4.1 MB``."""

    step: str
    ok: bool
    outcome: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a user should know that did not stop the work."""

    message: str
    hint: str = ""
    details: tuple[str, ...] = field(default=())


Event: TypeAlias = StepStarted | StepProgress | StepFinished | Warned
Listener: TypeAlias = Callable[[Event], None]


def silent(_event: Event) -> None:
    """The default listener: nobody is told."""


def fan_out(*listeners: Listener) -> Listener:
    """One listener that tells several, in order."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


class Step:
    """A running step, told by :func:`step`; thread-safe as far as its listener is.

    Attributes:
        outcome: told at its end: one readable phrase.
        failed: whether it ended badly, though it ended.
    """

    def __init__(self, name: str, emit: Listener) -> None:
        self._name = name
        self._emit = emit
        self._done = 0
        self.outcome = ""
        self.failed = False

    def progress(self, done: int, total: int | None = None) -> None:
        """Tell that ``done`` units (absolute) are finished."""
        self._emit(StepProgress(self._name, done, total))

    def advance(self, more: int) -> None:
        """Tell that so many more units are finished; for one thread, that tells nothing else."""
        self._done += more
        self.progress(self._done)


@contextmanager
def step(
    emit: Listener,
    name: str,
    title: str,
    *,
    total: int | None = None,
    unit: Literal["bytes", "rows", "items"] = "bytes",
    monotonic: Callable[[], float] | None = None,
) -> Iterator[Step]:
    """Tell the start, progress and end of a step, whatever way it ends.

    Args:
        emit: the listener.
        name: identifies the step among those that run at the same time.
        title: what a person reads.
        total: size of the work in ``unit``, where known.
        unit: what is counted.
        monotonic: clock in seconds; the time taken is told where it is given.
    """
    emit(StepStarted(name, title, total, unit))
    begun = monotonic() if monotonic else None
    running = Step(name, emit)
    ok = False
    try:
        yield running
        ok = True
    finally:
        seconds = monotonic() - begun if monotonic and begun is not None else None
        emit(StepFinished(name, ok and not running.failed, running.outcome, seconds))
