"""What PostgreSQL's client tools say when they fail, and what that means to a person."""

from __future__ import annotations

import re

from backup_lib.model import Target
from backup_lib.stores.postgres.connection import hint_for, place_of
from restoreproof.errors import NoSpace, RestoreproofError, Unreachable
from restoreproof.process import ChildFailed
from restoreproof.process.diagnostics import last_meaningful_line

NO_SPACE = ("No space left on device", "could not extend file", "Disk quota exceeded")

CONNECTION_LOST = (
    "server closed the connection unexpectedly",
    "terminating connection",
    "connection to server",
    "could not receive data from server",
    "could not send data to server",
    "SSL connection has been closed",
    "no connection to the server",
    "the database system is",
    "lost synchronization with server",
    "out of memory",
    "out of shared memory",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "canceling statement due to conflict with recovery",
    "canceling statement due to user request",
    "Input/output error",
    "Read-only file system",
    "Too many open files",
    "Cannot allocate memory",
    "could not read block",
    "invalid page in block",
)
"""Signs of trouble with the server or this machine; none of them says anything about a backup."""

_HINTS = (
    (
        "row-level security",
        "the role must see all rows: ALTER ROLE {user} BYPASSRLS, or own the tables",
    ),
    ("LOCK TABLE", "somebody holds a lock on that table: wait for it, or raise lock_timeout"),
    (
        "conflict with recovery",
        "on a replica, raise max_standby_streaming_delay or turn hot_standby_feedback on",
    ),
    (
        "permission denied for large object",
        "a role other than their owner cannot read large objects: use the owner or a superuser",
    ),
    ("permission denied", 'GRANT pg_read_all_data TO "{user}"'),
)


_LOCK = re.compile(r"LOCK TABLE (?:ONLY )?(.+?) IN ACCESS SHARE MODE")


def dump_failed(failed: ChildFailed, target: Target) -> RestoreproofError:
    """What a failed pg_dump or pg_dumpall means."""
    reason = cause(failed.stderr, failed.program) or failed.message
    if any(sign in failed.stderr for sign in NO_SPACE):
        return NoSpace(
            f"{failed.program} ran out of space: {reason}",
            hint='free some room, or use format = "custom", which needs none here',
        )
    if failed.signal is not None:
        return Unreachable(failed.message, hint=failed.hint or "see the system's log")
    locked = _LOCK.search(failed.stderr)
    if locked and "timeout" in reason:
        reason = f"it waited too long for its lock on {locked[1]}"
    user = target.params.get("user", "the user")
    hint = next((hint for sign, hint in _HINTS if sign in failed.stderr), None)
    return Unreachable(
        f"{failed.program} could not dump {place_of(target)}: {reason}",
        hint=hint.format(user=user) if hint else hint_for(failed.stderr),
    )


def cause(stderr: str, program: str) -> str:
    """The server's own first error in what a tool said, else the line that most likely says why."""
    for line in stderr.splitlines():
        for mark in ("ERROR:", "FATAL:", "PANIC:"):
            _, found, text = line.partition(mark)
            if found:
                return text.strip()
    return last_meaningful_line(stderr, program)
