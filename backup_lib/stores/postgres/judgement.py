"""From what a restore tool said to a verdict: a bad backup, a bad server, or no judgement."""

from __future__ import annotations

import re

from backup_lib.model import Target
from backup_lib.stores.postgres.allowlist import (
    ToolError,
    errors_in,
    ignored_count,
    untolerated,
)
from backup_lib.stores.postgres.connection import connect, place_of
from backup_lib.stores.postgres.diagnosis import CONNECTION_LOST, NO_SPACE
from backup_lib.stores.postgres.programs import TOOL_LACKS
from restoreproof.errors import (
    Inconclusive,
    JudgedBad,
    NoSpace,
    RestoreproofError,
    Unreachable,
)
from restoreproof.process import Finished
from restoreproof.process.diagnostics import last_meaningful_line

_SERVER_LACKS = (
    "is not available",
    "extension control file",
    "could not access file",
    "could not load library",
    "unsupported XML feature",
    "not supported by this build",
    "not supported in this build",
    "compression method lz4 not supported",
    "unrecognized configuration parameter",
    "is not a valid collation",
    "invalid locale name",
    'for encoding "',
    "could not create locale",
    "access method",
    "shared_preload_libraries",
    "must be preloaded",
    "can only create extension in database",
    "invalid value for parameter",
    "invalid configuration parameter name",
)
"""Signs that the server is not made for this backup: no evidence against the backup."""

_NO_RIGHT = (
    "permission denied",
    "must be superuser",
    "must be owner",
    "must be member",
    "must be able to SET ROLE",
    "must have",
)
_LOCALE_MATTERS = (
    "violates partition constraint",
    "violates check constraint",
    "no partition of",
    "could not create unique index",
)


_TOO_MUCH_AT_ONCE = "out of shared memory"
"""Each object takes a lock, and a transaction keeps all of its own."""


class NotAtOnce(Inconclusive):
    """The restore fails as one transaction, and may succeed as several. It left nothing behind."""


def judge_archive(
    finished: Finished,
    target: Target,
    server_major: int,
    *,
    at_once: bool = False,
    other_locale: bool = False,
    allowed: tuple[re.Pattern[str], ...] = (),
) -> tuple[str, ...]:
    """Judge a run of pg_restore that ended with 0 or 1.

    Args:
        finished: the run.
        target: the server, asked whether it is still alive.
        server_major: its major version.
        at_once: it was one transaction, which ends at its first error.
        other_locale: the database has another locale than the source had.
        allowed: further messages that are no reason to fail; the count holds for them too.

    Returns:
        the errors that the published list allows, verbatim.

    Raises:
        JudgedBad: the backup cannot be restored, and the server is well.
        Unreachable: the server is not well, or refused us.
        Inconclusive: the server lacks what the backup needs.
        NoSpace: it is out of space.
        NotAtOnce: it failed for being one transaction.
    """
    if finished.returncode == 0:
        return ()
    errors = tuple(errors_in(finished.stderr))
    count = ignored_count(finished.stderr)
    bad = [
        error
        for error in untolerated(errors, server_major)
        if not any(entry.fullmatch(error.message) for entry in allowed)
    ]
    if count is not None and count == len(errors) and not bad:
        return tuple(str(error) for error in errors)
    if at_once and errors and (not bad or _TOO_MUCH_AT_ONCE in bad[-1].message):
        raise NotAtOnce(f"{errors[-1]} ends a restore in one transaction")
    if bad:
        worst = bad[-1] if count is None else bad[0]
    elif count is not None:
        worst = ToolError(f"pg_restore ignored {count} errors, but showed {len(errors)}", "")
    else:
        said = last_meaningful_line(finished.stderr, "pg_restore")
        worst = ToolError(said or "pg_restore said nothing", "")
    raise verdict(worst, finished.stderr, target, other_locale=other_locale)


def verdict(
    error: ToolError, stderr: str, target: Target, *, other_locale: bool = False
) -> RestoreproofError:
    """What an error that is not tolerated means."""
    where = place_of(target)
    if _has(stderr, NO_SPACE):
        return NoSpace(
            f"{where} ran out of space: {error.message}", hint="free some room on its disk"
        )
    if _has(stderr, CONNECTION_LOST) or not is_alive(target):
        return Unreachable(
            f"the server broke off while it restored into {where}: {error.message}",
            hint="this says nothing about the backup; see the server's log, and run it again",
        )
    if _has(error.message, TOOL_LACKS):
        return tool_lacks("pg_restore", error.message)
    if _has(error.message, _SERVER_LACKS):
        return Inconclusive(
            f"{where} cannot take this backup: {error}",
            hint="use a server that has what the message names",
        )
    if _has(error.message, _NO_RIGHT) and not target.disposable:
        return Unreachable(
            f"no permission to restore into {where}: {error}",
            hint="restore as the owner of the objects, or as a superuser",
        )
    if other_locale and _has(error.message, _LOCALE_MATTERS):
        return Inconclusive(
            f"{where} has another locale than the source, and that matters: {error}",
            hint="generate the source's locale on this machine (Debian: package locales)",
        )
    return JudgedBad(
        f"the backup cannot be restored: {error}",
        hint="use an older backup set, and find out what damaged this one",
    )


def tool_lacks(tool: str, said: str) -> Inconclusive:
    """The error for a pg_restore that is not made for an archive, which may be good."""
    return Inconclusive(
        f"{tool} cannot read this archive: {said}",
        hint="install the client tools of the newest PostgreSQL, built with all compressions",
    )


def is_alive(target: Target) -> bool:
    """Whether the server answers."""
    try:
        connect(target).close()
    except RestoreproofError:
        return False
    return True


def _has(text: str, signs: tuple[str, ...]) -> bool:
    return any(sign in text for sign in signs)
