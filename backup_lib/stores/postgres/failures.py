"""What an error of PostgreSQL, or of libpq, means to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from restoreproof.errors import NoSpace, Refused, RestoreproofError, Unreachable

_SERVER = "the server"


def query_failed(
    error: psycopg.Error, doing: str, *, where: str = _SERVER, user: str = ""
) -> RestoreproofError:
    """What a failed query of ours means.

    Args:
        error: as psycopg raised it.
        doing: what was going on, such as ``reading sequences``.
        where: how to call the database, where it is known.
        user: the role, where it is known.
    """
    text = sentence(error)
    if "row-level security policy" in text:
        return Refused(
            f"row security hides rows from this role while {doing}: {text}",
            hint="ALTER ROLE … BYPASSRLS for the role that takes backups; "
            "else only a part of the table would be dumped",
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        role = f'"{user}"' if user else "the role that takes backups"
        place = "" if where == _SERVER else f" in {where}"
        return Unreachable(
            f"no permission while {doing}{place}: {text}",
            hint=f"GRANT pg_read_all_data TO {role} (tables under row security: BYPASSRLS too)",
        )
    if isinstance(error, psycopg.errors.DiskFull):
        return NoSpace(f"{where} is out of space while {doing}: {text}", hint="free some room")
    if isinstance(error, psycopg.errors.OutOfMemory) and "shared memory" in text:
        return Unreachable(
            f"{where} has no room for the locks of so many tables while {doing}: {text}",
            hint="raise max_locks_per_transaction; pg_dump locks every table of the database too",
        )
    if isinstance(error, psycopg.errors.QueryCanceled):
        hint = (
            "on a replica, raise max_standby_streaming_delay or turn hot_standby_feedback on"
            if "recovery" in text
            else "somebody or a timeout cancelled the query: see the server's log"
        )
        return Unreachable(f"{where} cancelled the query while {doing}: {text}", hint=hint)
    return Unreachable(f"{where} failed while {doing}: {text}", hint="look into the server's log")


@contextmanager
def translated(doing: str, *, where: str = _SERVER, user: str = "") -> Iterator[None]:
    """Turn psycopg's errors within the block into ours; arguments as of :func:`query_failed`."""
    try:
        yield
    except psycopg.Error as error:
        raise query_failed(error, doing, where=where, user=user) from None


def sentence(error: psycopg.Error) -> str:
    """The last line of libpq's message that says something, without its prefixes."""
    primary = error.diag.message_primary
    if primary:
        return primary
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("Multiple connection", "- host:"))]
    text = (kept or lines or [type(error).__name__])[0]
    for mark in ("FATAL:", "failed: "):
        _, found, rest = text.rpartition(mark)
        if found:
            text = rest.strip()
    return text
