"""Which errors a restore may have, and the strict count of them.

``pg_restore`` ends with exit code 1 for ignored and for fatal errors alike, and says at its end
``errors ignored on restore: N``. A restore passes only if the errors that match this list number
exactly N. The list, as published:

1. ``SET transaction_timeout`` into servers before 17: pg_dump 17 and newer writes it into every
   archive, servers before 17 do not know it, and for a restore it means nothing.
2. ``CREATE SCHEMA public``: dumps made by older tools create it, and every new database has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_TRANSACTION_TIMEOUT_SINCE = 17


@dataclass(frozen=True, slots=True)
class ToolError:
    """One error that pg_restore reported.

    Attributes:
        message: what the server, or the tool, said.
        command: the SQL that failed; empty where the tool names none.
    """

    message: str
    command: str

    def __str__(self) -> str:
        return f"{self.message} ({self.command})" if self.command else self.message


@dataclass(frozen=True, slots=True)
class Tolerated:
    """An error that says nothing against a backup.

    Attributes:
        message: matches all of what the server said.
        command: matches all of the SQL that failed.
        before: only on servers older than this major version; 0 for all.
    """

    message: re.Pattern[str]
    command: re.Pattern[str]
    before: int = 0

    def covers(self, error: ToolError, server_major: int) -> bool:
        """Whether it is that error, on such a server."""
        return (
            (not self.before or server_major < self.before)
            and self.message.fullmatch(error.message) is not None
            and self.command.fullmatch(error.command) is not None
        )


ALLOWED: tuple[Tolerated, ...] = (
    Tolerated(
        re.compile(r'unrecognized configuration parameter "transaction_timeout"'),
        re.compile(r"SET transaction_timeout = 0;"),
        before=_TRANSACTION_TIMEOUT_SINCE,
    ),
    Tolerated(re.compile(r'schema "public" already exists'), re.compile(r"CREATE SCHEMA public;")),
)

_ERROR = re.compile(r"^pg_restore: error: (.*)$")
_COMMAND = re.compile(r"^Command was: (.*)$")
_COUNT = re.compile(r"^pg_restore: warning: errors ignored on restore: (\d+)$", re.MULTILINE)
_SERVER_ERROR = re.compile(r"(?:ERROR|FATAL|PANIC):\s+(.*)$")


def ignored_count(stderr: str) -> int | None:
    """The number that pg_restore itself gives at its end; None where it broke off."""
    counts = _COUNT.findall(stderr)
    return int(counts[-1]) if counts else None


def errors_in(stderr: str) -> Iterator[ToolError]:
    """The errors that pg_restore reported, in order."""
    message = ""
    command = ""
    for line in stderr.splitlines():
        if found := _ERROR.match(line):
            if message:
                yield ToolError(message, command)
            server = _SERVER_ERROR.search(found[1])
            message, command = (server[1] if server else found[1]), ""
        elif (found := _COMMAND.match(line)) and message and not command:
            command = found[1]
    if message:
        yield ToolError(message, command)


def untolerated(errors: Iterable[ToolError], server_major: int) -> list[ToolError]:
    """Those that are not on the list."""
    return [
        error for error in errors if not any(entry.covers(error, server_major) for entry in ALLOWED)
    ]
