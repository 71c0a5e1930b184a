"""Settings, grants and comment of the database itself, out of its dump.

``pg_restore --create`` makes the settings before it loads a row, and then loads them under these
settings: a generated column or a check may depend on one. Our databases are made with other names,
and so their settings are made here, at the same moment.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from backup_lib.model import Target
from backup_lib.stores.postgres import archive
from backup_lib.stores.postgres.plain import run_script
from backup_lib.stores.postgres.programs import Programs
from backup_lib.work import Work

_NAME = rb'(?:"(?:[^"]|"")*"|[^\s";]+)'
_SETTING = re.compile(
    rb"ALTER (?:(ROLE )" + _NAME + rb" IN )?DATABASE " + _NAME + rb" SET \"?([\w.]+)", re.DOTALL
)

_HINDER = {
    "default_transaction_read_only": "off",
    "idle_session_timeout": "0",
    "exit_on_error": "off",
    "role": "none",
}
"""Settings under which nothing could be loaded, and what they are while we load."""

_VERBS = {
    b"GRANT ": "its grants",
    b"REVOKE ": "its grants",
    b"COMMENT ": "its comment",
    b"SECURITY LABEL ": "its security labels",
    b"ALTER DATABASE ": "other options",
}
"""What statements that make no setting are about."""

_ANY_ERROR = (re.compile(r".*", re.DOTALL),)


@dataclass(frozen=True, slots=True)
class Properties:
    """What a dump says about the database itself.

    Attributes:
        script: SQL that makes all of it; empty where there is nothing.
    """

    script: bytes

    def settings(self, database: str, *, roles: bool) -> bytes:
        """SQL that makes its settings for the database of that name.

        Args:
            database: any name.
            roles: those of single roles too; the roles exist.
        """
        wanted = (
            statement
            for statement in archive.statements(self.script)
            if (match := _SETTING.match(statement)) and (roles or not match[1])
        )
        return archive.about_database(b"".join(wanted), database)

    def overridden(self) -> Mapping[str, str]:
        """Settings for the sessions that load, against those that would hinder them."""
        matches = map(_SETTING.match, archive.statements(self.script))
        made = {match[2].decode() for match in matches if match}
        return {name: word for name, word in _HINDER.items() if name in made}

    def named(self) -> tuple[str, ...]:
        """What it is about, for people: ``work_mem``, ``its grants``; each once."""
        found = []
        for statement in archive.statements(self.script):
            if match := _SETTING.match(statement):
                name = match[2].decode("utf-8", "replace")
                found.append(f"{name} of single roles" if match[1] else name)
            else:
                found += [word for verb, word in _VERBS.items() if statement.startswith(verb)]
        return tuple(dict.fromkeys(found))


def make_settings(
    properties: Properties,
    place: Target,
    database: str,
    programs: Programs,
    work: Work,
    *,
    roles: bool,
    strict: bool,
) -> tuple[str, ...]:
    """Give a database the settings of its source, before anything is loaded into it.

    Args:
        properties: of the source.
        place: any other database of that server.
        database: that has just been made.
        programs: folder of psql.
        work: the circumstances.
        roles: settings of single roles too.
        strict: an error is one; else it is a remark.

    Returns:
        remarks for people.

    Raises:
        JudgedBad, Unreachable, Inconclusive: as :func:`.plain.run_script`.
    """
    return _made(properties.settings(database, roles=roles), place, programs, work, strict=strict)


def make_all(
    properties: Properties,
    place: Target,
    database: str,
    programs: Programs,
    work: Work,
    *,
    strict: bool,
) -> tuple[str, ...]:
    """The same with grants and comment, and the settings of single roles."""
    script = archive.about_database(properties.script, database)
    return _made(script, place, programs, work, strict=strict)


def _made(
    script: bytes, place: Target, programs: Programs, work: Work, *, strict: bool
) -> tuple[str, ...]:
    if not script:
        return ()
    allowed = () if strict else _ANY_ERROR
    refused = run_script(place, programs, io.BytesIO(script), work, allowed=allowed)
    return tuple(f"of the database itself was not restored: {error}" for error in refused)


def forget_settings(admin: psycopg.Connection, database: str) -> None:
    """Take the settings away again: they belong to another name."""
    admin.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(sql.Identifier(database)))
