"""Running children: bulk data through pipes, with a deadline on progress.

- :func:`run`: to the end, with data on stdin and stdout.
- :func:`start`: a server that runs until it is stopped.
- :func:`output`: a short command whose output is wanted.
- :class:`Inlet`: a child's stdin that another thread writes to.
- :class:`Cancellation` and :func:`cancel_on_signals`: the request to stop.
"""

from __future__ import annotations

from restoreproof.process.cancellation import Cancellation
from restoreproof.process.environment import clean_env
from restoreproof.process.errors import ChildFailed, ChildStalled, ProgramMissing
from restoreproof.process.inlet import Inlet
from restoreproof.process.runner import run
from restoreproof.process.server import Child, start
from restoreproof.process.session import Consumer, Finished
from restoreproof.process.short import output
from restoreproof.process.signals import cancel_on_signals

__all__ = [
    "run",
    "Finished",
    "Consumer",
    "Inlet",
    "start",
    "Child",
    "output",
    "Cancellation",
    "cancel_on_signals",
    "clean_env",
    "ChildFailed",
    "ChildStalled",
    "ProgramMissing",
]
