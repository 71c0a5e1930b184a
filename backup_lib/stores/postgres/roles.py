"""Restoring roles: those that exist already are left as they are."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import psycopg
from psycopg import sql

from backup_lib.model import Target
from backup_lib.stores.base import ArtifactSource
from backup_lib.stores.postgres.archive import statements
from backup_lib.stores.postgres.cluster import ROLES_ROLE, SETTINGS_OF_ALL
from backup_lib.stores.postgres.plain import run_script
from backup_lib.stores.postgres.programs import Programs
from backup_lib.work import Work
from restoreproof.errors import Inconclusive

_LARGEST = 256 * 1024 * 1024
_RESERVED = "pg_"
_NAME = rb"(\"(?:[^\"]|\"\")*\"|\S+)"
_ALL = "ALL"
"""As SQL spells all roles at once; a role of that name is quoted."""
_OF_ALL_NAME = re.compile(rb"ALTER ROLE ALL SET (\S+) TO ")
_SUPERUSER = re.compile(rb"ALTER ROLE " + _NAME + rb" WITH SUPERUSER ")


def existing_roles(admin: psycopg.Connection) -> set[str]:
    """All roles of the server."""
    return {name for (name,) in admin.execute("SELECT rolname FROM pg_roles")}


def make_placeholders(admin: psycopg.Connection, names: Iterable[str]) -> None:
    """Make the roles that own or were granted something, where they are not there."""
    for name in sorted(set(names) - existing_roles(admin)):
        if not name.startswith(_RESERVED):
            admin.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def restore_roles(
    target: Target,
    admin: psycopg.Connection,
    programs: Programs,
    source: ArtifactSource,
    work: Work,
) -> list[str]:
    """Run the role statements of ``pg_dumpall --roles-only``, where the set has them.

    Statements about roles that exist are taken out: their passwords and rights stay. So are those
    of :func:`restore_settings_of_all`, which the restore itself must not run under.

    Returns:
        remarks for people.

    Raises:
        JudgedBad: the statements fail on a server that is well.
        Unreachable: the server is not well, or refuses us.
    """
    script = _script(source)
    if script is None:
        return ["the set holds no roles"]
    names = sorted(existing_roles(admin))
    script = without_bootstrap_grantor(script)
    spelled = [sql.Identifier(name).as_string(admin) for name in names]
    kept = without_roles(script, [_ALL, *spelled, *names])
    run_script(target, programs, io.BytesIO(kept), work)
    left = [name for name in names if not name.startswith(_RESERVED)]
    return [f"roles that existed were left as they are: {', '.join(left)}"]


def restore_settings_of_all(admin: psycopg.Connection, source: ArtifactSource) -> list[str]:
    """Set what is set for all roles of the source, but nothing that is set here already.

    The database is in its place by then: what this server does not take is a remark, no failure.

    Args:
        admin: a superuser's session in autocommit mode.
        source: of the artifacts.

    Returns:
        remarks for people.

    Raises:
        Inconclusive: the script is too large.
    """
    script = _script(source) or b""
    wanted = {found[1]: text for text in statements(script) if (found := _OF_ALL_NAME.match(text))}
    there = {
        sql.Identifier(*text.partition("=")[0].split(".")).as_bytes(admin)
        for (text,) in admin.execute(SETTINGS_OF_ALL)
    }
    made, remarks = [], []
    for name in sorted(wanted.keys() - there):
        try:
            admin.execute(wanted[name])
            made.append(name)
        except psycopg.Error as error:
            why = error.diag.message_primary or type(error).__name__
            remarks.append(f"{_spelled([name])} was not set for all roles of this server: {why}")
    if made:
        remarks.append(f"set for all roles of this server: {_spelled(made)}")
    if left := wanted.keys() & there:
        remarks.append(f"set for all roles of this server already, and left: {_spelled(left)}")
    return remarks


def _spelled(names: Iterable[bytes]) -> str:
    return ", ".join(sorted(name.decode(errors="replace") for name in names))


def _script(source: ArtifactSource) -> bytes | None:
    if not any(artifact.role == ROLES_ROLE for artifact in source.record.artifacts):
        return None
    with source.open(ROLES_ROLE) as stream:
        script = stream.read(_LARGEST + 1)
    if len(script) > _LARGEST:
        raise Inconclusive(
            f"the roles are more than {_LARGEST // 1024**2} MiB of SQL",
            hint="restore them by hand with psql",
        )
    return script


def without_roles(script: bytes, names: Iterable[str]) -> bytes:
    """The script without the statements that make, change or comment those roles.

    Args:
        script: of pg_dumpall; what is quoted in it may be of several lines.
        names: as SQL spells them.
    """
    alternatives = b"|".join(re.escape(name.encode()) for name in names)
    about = re.compile(
        rb"(?:CREATE ROLE|ALTER ROLE|COMMENT ON ROLE) (?:" + alternatives + rb")[ ;]"
    )
    return b"".join(text for text in statements(script) if not about.match(text))


def without_bootstrap_grantor(script: bytes) -> bytes:
    """The script with the grants of superusers left to whoever runs it.

    What a superuser grants is recorded as granted by the bootstrap superuser, whose name is
    another one in every cluster (the operating system's user, ``POSTGRES_USER`` of a container).
    Elsewhere a role of that name is none that may be named as the grantor.

    Args:
        script: of pg_dumpall; what is quoted in it may be of several lines.
    """
    texts = tuple(statements(script))
    superusers = [found[1] for text in texts if (found := _SUPERUSER.match(text))]
    if not superusers:
        return script
    alternatives = b"|".join(map(re.escape, superusers))
    grant = re.compile(rb"\A(GRANT .*) GRANTED BY (?:" + alternatives + rb");$", re.DOTALL)
    return b"".join(grant.sub(rb"\1;", text) for text in texts)
