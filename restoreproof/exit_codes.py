"""The exit codes of every command. The table stands in the README and in every runbook."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means."""

    OK = 0
    """Done, and judged good."""
    BAD = 1
    """Judged bad: bad backup, findings, rejected release."""
    INCONCLUSIVE = 2
    """Could not judge, or nothing was judged."""
    USAGE = 3
    """Usage or configuration error."""
    REFUSED = 4
    """Refused by a guard: data would be lost, a lock is held, a gate is closed."""
    UNREACHABLE = 5
    """A store, destination, router or runtime cannot be reached, or broke off."""
    NO_SPACE = 6
    """Out of space or over the disk budget."""
    INTERNAL = 7
    """A bug in this software."""
    INTERRUPTED = 130
    """Interrupted; what was begun is cleaned up."""
