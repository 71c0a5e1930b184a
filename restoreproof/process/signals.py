"""From Ctrl-C, SIGTERM and SIGHUP to a request to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from restoreproof.process.cancellation import Cancellation

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def cancel_on_signals(cancel: Cancellation) -> Iterator[None]:
    """Let the first signal request ``cancel``; a second Ctrl-C raises KeyboardInterrupt at once.

    The former handlers are restored at the end. A signal that is ignored (``nohup``) stays so.
    Outside the main thread nothing happens, since only that one can handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        if cancel.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        cancel.request()

    former = {
        number: signal.getsignal(number)
        for number in _SIGNALS
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        for number in former:
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
