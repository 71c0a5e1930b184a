"""The one error tree. Every class carries the exit code it ends a command with.

::

    RestoreproofError
    ├── JudgedBad          1  the backup (release, image) is bad
    ├── Inconclusive       2  could not judge; says nothing about the backup
    ├── UsageError         3  the call is wrong
    │   ├── ConfigError       the configuration is wrong: file, key and line
    │   └── MissingExtra      a client library is not installed: names the extra
    ├── Refused            4  a guard said no; nothing was changed
    │   └── LockHeld          another run is at work
    ├── Unreachable        5  a store, destination or server is away or broke off
    ├── NoSpace            6  the disk, or the disk budget, is full
    ├── InternalError      7  a bug of ours
    └── Interrupted      130  Ctrl-C or SIGTERM; what was begun is cleaned up

A message is one clear sentence about what happened; the hint says what to do next.
Neither ever contains a secret.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from restoreproof.exit_codes import ExitCode


class RestoreproofError(Exception):
    """Base of all errors that this software raises on purpose."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def within(self, what: str) -> Self:
        """This error, with what it was a part of said first."""
        self.message = f"{what}: {self.message}"
        self.args = (self.message, *self.args[1:])
        return self


class JudgedBad(RestoreproofError):
    """What was looked at is bad. Raised only on evidence, never for lack of it."""

    exit_code = ExitCode.BAD


class Inconclusive(RestoreproofError):
    """No judgement was possible. Never counts as passed, never blames the backup."""

    exit_code = ExitCode.INCONCLUSIVE


class UsageError(RestoreproofError):
    """The call is wrong: an unknown name, a missing argument, a value out of range."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """The configuration is wrong; says in which file, at which key and line."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        path: Path | None = None,
        key: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.key = key
        self.line = line


def extra_hint(extra: str) -> str:
    """How to get an extra: ``install the extra 'alerts' (README.md, Install)``.

    The command depends on how this was installed: from a checkout, with pipx, or into an
    environment. The page says all of them.
    """
    return f"install the extra '{extra}' (README.md, Install)"


class MissingExtra(UsageError):
    """A kind needs a library that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs a library that is not installed",
            hint=extra_hint(extra),
        )
        self.extra = extra


class Refused(RestoreproofError):
    """A guard refused; nothing was changed."""

    exit_code = ExitCode.REFUSED


class LockHeld(Refused):
    """Another run holds the lock."""


class Unreachable(RestoreproofError):
    """A store, destination or server cannot be reached, refuses us, or broke off midway."""

    exit_code = ExitCode.UNREACHABLE


class NoSpace(RestoreproofError):
    """A disk is full, or the disk budget is spent."""

    exit_code = ExitCode.NO_SPACE


class InternalError(RestoreproofError):
    """A bug of ours."""

    exit_code = ExitCode.INTERNAL


class Interrupted(RestoreproofError):
    """Interrupted from outside; what was begun has been cleaned up."""

    exit_code = ExitCode.INTERRUPTED
