"""Progress for people, on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from restoreproof.events import Event, StepFinished, StepProgress, StepStarted, Warned
from restoreproof.quantities import readable_size
from restoreproof.reporters.text import one_line, plain


def amount(count: float, unit: str) -> str:
    """``4.1 MiB`` for bytes, ``336,776 rows`` for everything else."""
    if unit != "bytes":
        return f"{int(count):,} {unit}"
    return readable_size(count)


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = str(task.fields["unit"])
        if task.total is None:
            return Text(amount(task.completed, unit) if task.completed else "", "progress.download")
        return Text(
            f"{amount(task.completed, unit)} of {amount(task.total, unit)}", "progress.download"
        )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = str(task.fields["unit"])
        return Text(f"{amount(speed, unit)}/s" if speed else "", "progress.data.speed")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader of the progress that went away ends no run; rich would exit with 1."""
        raise BrokenPipeError(errno.EPIPE, "nobody reads the progress any more")


class ConsoleReporter:
    """Listener for people; a context manager, since a live display has to be taken down.

    Args:
        stream: where to; stderr by default.
        quiet: only warnings.
        environ: ``NO_COLOR`` and ``CI`` are looked at.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        stream = stream or sys.stderr
        ci = environ.get("CI", "").lower() not in ("", "0", "false")
        self._console = _Console(
            file=stream,
            no_color=bool(environ.get("NO_COLOR")) or None,
            force_terminal=False if ci else None,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        self._quiet = quiet
        self._unicode = (getattr(stream, "encoding", "") or "").lower().startswith("utf")
        self._lock = threading.RLock()
        self._titles: dict[str, str] = {}
        self._bars: dict[str, TaskID] = {}
        self._progress: Progress | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal and not quiet:
            self._progress = Progress(
                SpinnerColumn() if self._unicode else TextColumn("-"),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                _Amount(),
                _Rate(),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def __enter__(self) -> Self:
        if self._progress:
            try:
                self._progress.start()
            except (OSError, ValueError):
                self._give_up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._take_down()

    def __call__(self, event: Event) -> None:
        with self._lock:
            try:
                self._tell(event)
            except (OSError, ValueError):  # the terminal is gone; the run is not
                self._give_up()

    def _give_up(self) -> None:
        self._quiet = True
        self._take_down()

    def _take_down(self) -> None:
        """Stop the live display and its thread, whether or not the stream can still be written."""
        progress, self._progress = self._progress, None
        if progress:
            with suppress(OSError, ValueError):
                progress.stop()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._warn(event)
        elif self._quiet:
            return
        elif isinstance(event, StepStarted):
            self._start(event)
        elif isinstance(event, StepProgress):
            self._advance(event)
        else:
            self._finish(event)

    def _start(self, event: StepStarted) -> None:
        title = one_line(event.title)
        self._titles[event.step] = title
        if self._progress:
            self._bars[event.step] = self._progress.add_task(
                title, total=event.total, unit=event.unit
            )
        else:
            self._line(self._mark("→", "-"), title)

    def _advance(self, event: StepProgress) -> None:
        bar = self._bars.get(event.step)
        if self._progress and bar is not None:
            if event.total is None:
                self._progress.update(bar, completed=event.done)
            else:
                self._progress.update(bar, completed=event.done, total=event.total)

    def _finish(self, event: StepFinished) -> None:
        bar = self._bars.pop(event.step, None)
        if self._progress and bar is not None:
            self._progress.remove_task(bar)
        line = self._titles.pop(event.step, one_line(event.step))
        if event.outcome:
            line += f": {one_line(event.outcome)}"
        if event.seconds is not None:
            line += f" ({event.seconds:.1f} s)"
        if event.ok:
            self._line(self._mark("✓", "+"), line, "green")
        else:
            self._line(self._mark("✗", "x"), line, "red")

    def _warn(self, event: Warned) -> None:
        self._line("warning:", plain(event.message), "yellow")
        for detail in event.details:
            self._line("  ", plain(detail))
        if event.hint:
            self._line(self._mark("  →", "  ->"), plain(event.hint))

    def _line(self, mark: str, text: str, style: str = "") -> None:
        self._console.print(Text.assemble((mark, style), " ", text))

    def _mark(self, fine: str, simple: str) -> str:
        return fine if self._unicode else simple
