"""What the tasks of all packages have in common: run one service, render what it returns.

Works the same under our own program and under a plain ``inv``: the exit code travels in Invoke's
``Exit``. Imports nothing heavy: the list of tasks has to come at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO, TypeVar

from invoke.exceptions import Exit
from invoke.tasks import task as invoke_task

from restoreproof.errors import (
    Interrupted,
    NoSpace,
    RestoreproofError,
    UsageError,
)
from restoreproof.events import Event, Listener, Warned, fan_out, silent
from restoreproof.exit_codes import ExitCode
from restoreproof.process.cancellation import Cancellation
from restoreproof.verdict import Verdict, worst

if TYPE_CHECKING:
    from rich.console import RenderableType

R = TypeVar("R")

task = partial(invoke_task, auto_shortflags=False)
"""Invoke's decorator without the one-letter options that it makes up. They would change with each
new option, and ``-c`` would be the configuration of one task and the confirmation of another."""

OPTIONS_HELP = {
    "config": "the configuration file; else RESTOREPROOF_CONFIG, else restoreproof.toml upwards",
    "json": "one JSON document on standard output",
    "quiet": "no progress, only warnings and the result",
    "events": "write events as JSON lines to this file; - is standard error",
}
"""Help of the options that tasks share, for ``@task(help=…)``."""


def options_help(**own: str) -> dict[str, str]:
    """The help of a task: its own options and the shared ones."""
    return {**own, **OPTIONS_HELP}


@dataclass(frozen=True, slots=True)
class Run:
    """What a running task hands to the service it calls.

    Attributes:
        emit: where events go.
        cancel: requested by Ctrl-C and SIGTERM.
    """

    emit: Listener = silent
    cancel: Cancellation = field(default_factory=Cancellation)


def execute(
    task: str,
    call: Callable[[Run], R],
    *,
    render: Callable[[R], RenderableType],
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
    verdict: Callable[[R], Verdict | None] | None = None,
    lasting: bool = False,
) -> R:
    """Call a service, print its one result, and end with the right exit code.

    Args:
        task: its full name, such as ``backup.verify``.
        call: the service; gets listeners and the request to stop.
        render: draws the result for people.
        json: print a result document instead.
        quiet: no progress.
        events: file for events as JSON lines, or ``-`` for stderr instead of the progress.
        verdict: judges the result; by default its ``verdict``, or the worst of a sequence's.
        lasting: what the service returns has been done and stays, so that a request to stop which
            comes after it changes nothing; else the result is not to be trusted.

    Returns:
        the result, when it was judged good or not judged at all.

    Raises:
        Exit: with the exit code of the verdict or of the error, which has been printed.
    """
    from restoreproof.process.signals import cancel_on_signals

    warnings: list[Warned] = []
    cancel = _Told()
    try:
        # up to the last word: Ctrl-C while the result is printed does not unmake it
        with cancel_on_signals(cancel):
            with _running(cancel, quiet=quiet, events=events, warnings=warnings) as run:
                result = call(run)
                if not lasting:
                    cancel.check()
            judged = verdict(result) if verdict else judge(result)
            exit_code = judged.exit_code if judged else ExitCode.OK
            if json:
                from restoreproof.reporters.document import result_text

                print_text(
                    result_text(
                        task, result, verdict=judged, exit_code=exit_code, warnings=warnings
                    )
                )
            else:
                _print_rendered(render(result))
    except Exit:
        raise
    except BaseException as error:  # noqa: BLE001 - the outermost: everything ends with a code
        _end_with(task, as_ours(error), warnings, json=json)
    if exit_code is not ExitCode.OK:
        raise Exit(code=int(exit_code))
    return result


def judge(result: object) -> Verdict | None:
    """The verdict inside a result: its own, or the worst of several; None where none was judged."""
    own = getattr(result, "verdict", None)
    if isinstance(own, Verdict):
        return own
    if isinstance(result, list | tuple):
        verdicts = [getattr(one, "verdict", None) for one in result]
        if verdicts and all(isinstance(one, Verdict) for one in verdicts):
            return worst(one for one in verdicts if one is not None)
    return None


def as_ours(error: BaseException) -> RestoreproofError:
    """Any error as one with an exit code and a hint. What nobody expected is a bug."""
    if isinstance(error, RestoreproofError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted", hint="run it again; what was begun is cleaned up")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"no space left{_of(error)}", hint="free some room and run it again")
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UsageError(
            f"not allowed{_of(error)}: {error.strerror}",
            hint="run as the user who owns it, or change its permissions",
        )
    from restoreproof.reporters.errors import crashed

    return crashed(error)


def print_text(text: str, stream: TextIO | None = None) -> None:
    """Print to standard output; a reader that has gone away is no error."""
    stream = stream or sys.stdout
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        hush(stream)


def hush(stream: TextIO) -> None:
    """Let nothing more be written to a stream whose reader is gone, not even at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _print_rendered(drawn: RenderableType) -> None:
    from rich.console import Console

    from restoreproof.redaction import redact

    if isinstance(drawn, str):
        print_text(redact(drawn))
        return
    outward = Console(highlight=False, markup=False, emoji=False)
    if not outward.is_terminal:
        # a file or a pipe has no width: lines are not broken
        outward = Console(highlight=False, markup=False, emoji=False, width=10_000)
    with outward.capture() as captured:
        outward.print(drawn, soft_wrap=not outward.is_terminal)
    print_text("\n".join(line.rstrip() for line in redact(captured.get()).splitlines()))


def _end_with(
    task: str, error: RestoreproofError, warnings: Iterable[Warned], *, json: bool
) -> NoReturn:
    from restoreproof.reporters.errors import print_error

    if json:
        from restoreproof.reporters.document import error_text

        print_text(error_text(task, error, tuple(warnings)))
    print_error(error)
    # `from None`: Invoke under --debug, or a caller, must not show what the message left out
    raise Exit(code=int(error.exit_code)) from None


def _of(error: OSError) -> str:
    from restoreproof.reporters.text import one_line

    return f" on {one_line(str(error.filename))}" if error.filename else ""


class _Told(Cancellation):
    """Says that the request was heard: cleaning up may take a moment."""

    def request(self) -> None:
        if not self.requested:
            notice = b"\nstopping, cleaning up (Ctrl-C again stops at once)\n"
            with suppress(OSError):
                os.write(2, notice)  # in a signal handler: no buffers, no locks
        super().request()


@contextmanager
def _running(
    cancel: Cancellation, *, quiet: bool, events: str | None, warnings: list[Warned]
) -> Iterator[Run]:
    from restoreproof.reporters.console import ConsoleReporter

    def note(event: Event) -> None:
        if isinstance(event, Warned):
            warnings.append(event)

    with ExitStack() as stack:
        listeners: list[Listener] = [note]
        if events:
            from restoreproof.reporters.jsonlines import JsonLines

            listeners.append(JsonLines(_events_stream(events, stack)))
        if events != "-":
            listeners.append(stack.enter_context(ConsoleReporter(quiet=quiet)))
        yield Run(fan_out(*listeners), cancel)


def _events_stream(events: str, stack: ExitStack) -> TextIO:
    if events == "-":
        return sys.stderr
    try:
        return stack.enter_context(Path(events).expanduser().open("a", encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"events cannot be written to {events}: {error.strerror}",
            hint="name a file in a folder that exists, or - for standard error",
        ) from error
