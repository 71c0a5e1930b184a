"""Making, swapping and removing databases on the server that is restored into."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from backup_lib.model import Target
from backup_lib.stores.postgres import catalog
from backup_lib.stores.postgres.connection import (
    connect,
    database_of,
    place_of,
    translated,
    value,
    with_settings,
)
from restoreproof.errors import Inconclusive, Refused, Unreachable

_ASIDE = "restoreproof_new_"
_OLD = "_old"
_EMPTY = "_empty"
_ASIDE_NAME = re.compile(rf"{_ASIDE}([0-9a-f]{{8}})(?:{_OLD}|{_EMPTY})?")
_LOCK_CLASS = 0x7265_7072
"""First key of our advisory locks: "repr" in ASCII."""
_SWAP_ATTEMPTS = 5

_MAINTENANCE = ("postgres", "template1")
_PROVIDER_SINCE = 15
_ICU_RULES_SINCE = 16
_LOGIN_TRIGGERS_SINCE = 17
_WITHOUT_LOCALE = "C"
_BYTEWISE_UTF8 = "C.UTF-8"
FALLBACKS = (_BYTEWISE_UTF8, _WITHOUT_LOCALE)
"""Locales that :func:`create` takes where a disposable server lacks that of the source."""


@dataclass(frozen=True, slots=True)
class Present:
    """What there is under a database's name.

    Attributes:
        exists: whether there is such a database.
        used: whether anything was made in it.
    """

    exists: bool
    used: bool


@contextmanager
def administration(target: Target, avoid: str) -> Iterator[psycopg.Connection]:
    """A connection to a database other than the one to make, rename or drop.

    Raises:
        Unreachable: no such connection.
    """
    others = [name for name in (*_MAINTENANCE, database_of(target)) if name != avoid]
    for name in others[:-1]:
        try:
            connection = connect(target, dbname=name)
        except Unreachable:
            continue
        break
    else:
        connection = connect(target, dbname=others[-1])
    with connection, translated(target, "preparing the database"):
        yield connection


def present(admin: psycopg.Connection, target: Target, name: str) -> Present:
    """Look at what a restore would meet."""
    row = admin.execute(
        "SELECT datallowconn FROM pg_database WHERE datname = %s", (name,)
    ).fetchone()
    if row is None:
        return Present(exists=False, used=False)
    if not row[0]:
        raise Refused(
            f"the database {name} does not allow connections, so nothing tells whether it is empty",
            hint="ALTER DATABASE … ALLOW_CONNECTIONS true, or restore under another name",
        )
    return Present(exists=True, used=_is_used(target, name))


def _is_used(target: Target, name: str) -> bool:
    with connect(target, dbname=name) as connection:
        return bool(value(connection, catalog.HAS_USER_OBJECTS))


def may_create(admin: psycopg.Connection) -> bool:
    """Whether the role may make databases."""
    query = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
    return bool(value(admin, query))


def is_superuser(admin: psycopg.Connection) -> bool:
    """Whether the role may hand objects to any other."""
    return bool(value(admin, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))


def without_event_triggers(target: Target, avoid: str) -> Target:
    """The target with event triggers switched off in our sessions, where we may do that.

    One that writes down who logs in would change what is restored whenever we look at it.

    Args:
        target: the server.
        avoid: the database that is restored into.
    """
    with administration(target, avoid) as admin:
        if catalog.major(admin) < _LOGIN_TRIGGERS_SINCE or not value(
            admin, "SELECT has_parameter_privilege('event_triggers', 'SET')"
        ):
            return target
        quiet = with_settings(target, {"event_triggers": "off"})
        try:
            connect(quiet, dbname=admin.info.dbname).close()
        except Unreachable:  # most poolers refuse sessions that bring settings
            return target
    return quiet


def login_triggers(admin: psycopg.Connection, target: Target, name: str) -> tuple[str, ...]:
    """Event triggers that fire whenever somebody, we included, enters that database."""
    if catalog.major(admin) < _LOGIN_TRIGGERS_SINCE:
        return ()
    with connect(target, dbname=name) as connection:
        if value(connection, "SHOW event_triggers") == "off":
            return ()
        return tuple(
            trigger
            for (trigger,) in connection.execute(
                "SELECT evtname::text FROM pg_event_trigger"
                " WHERE evtevent = 'login' AND evtenabled IN ('O', 'A') ORDER BY 1"
            )
        )


def has_tablespaces(admin: psycopg.Connection, names: tuple[str, ...]) -> bool:
    """Whether all of those tablespaces exist."""
    there = {name for (name,) in admin.execute("SELECT spcname FROM pg_tablespace")}
    return there.issuperset(names)


def drop_public(target: Target, name: str) -> None:
    """Take the schema ``public`` out of a new database, where the source has none."""
    with connect(target, dbname=name) as connection:
        connection.execute("DROP SCHEMA IF EXISTS public")


def give_to(admin: psycopg.Connection, name: str, like: catalog.Database) -> None:
    """Give a database the owner it has at the source, where that is known."""
    if like.owner:
        admin.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(name), sql.Identifier(like.owner)
            )
        )


def create(
    admin: psycopg.Connection, name: str, like: catalog.Database, *, disposable: bool
) -> str:
    """Make a database with encoding and locale of the source.

    Where a disposable server lacks a libc locale, the database gets one that sorts by code points:
    content is the same under both, order is not.

    Returns:
        the locale it got instead of the source's; empty where it is the same.

    Raises:
        Inconclusive: the server cannot make such a database.
    """
    try:
        admin.execute(_create(name, like, like.collate, like.ctype, catalog.major(admin)))
    except psycopg.Error as error:
        if isinstance(error, psycopg.errors.DuplicateDatabase | psycopg.errors.DiskFull):
            raise
        first = error
    else:
        return ""
    if disposable and like.provider == "libc":
        for locale in FALLBACKS:
            try:
                admin.execute(_create(name, like, locale, locale, catalog.major(admin)))
            except (psycopg.errors.InvalidParameterValue, psycopg.errors.WrongObjectType):
                continue
            except psycopg.Error:
                break
            return locale
    raise Inconclusive(
        f"the server cannot make a database with encoding {like.encoding} and locale "
        f"{like.locale or like.collate} ({like.provider}): {first.diag.message_primary}",
        hint="generate that locale on the server's machine (Debian: package locales), "
        "or use a server that is built with that provider",
    ) from None


def _create(
    name: str, like: catalog.Database, collate: str, ctype: str, major: int
) -> sql.Composed:
    options: list[tuple[str, str]] = [("ENCODING", like.encoding)]
    if major >= _PROVIDER_SINCE:
        options.append(("LOCALE_PROVIDER", like.provider))
    options += [("LC_COLLATE", collate), ("LC_CTYPE", ctype)]
    if like.provider == "icu":
        options.append(("ICU_LOCALE", like.locale))
        if like.icu_rules and major >= _ICU_RULES_SINCE:
            options.append(("ICU_RULES", like.icu_rules))
    elif like.provider == "builtin":
        options.append(("BUILTIN_LOCALE", like.locale))
    return sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(
        sql.Identifier(name),
        sql.SQL(" ").join(
            sql.SQL("{} {}").format(sql.SQL(key), sql.Literal(text)) for key, text in options
        ),
    )


def drop(admin: psycopg.Connection, name: str) -> None:
    """Remove a database, whoever is connected to it; none is fine too."""
    query = "SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate"
    if admin.execute(query, (name,)).fetchone():  # a template is not dropped
        admin.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name)))
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def aside(admin: psycopg.Connection, like: catalog.Database) -> Iterator[str]:
    """A new database under a name of our own; dropped at the end if it still has that name.

    An advisory lock of this session says that the name is in use, however the session ends.
    """
    token = secrets.randbelow(2**31)
    name = f"{_ASIDE}{token:08x}"
    admin.execute("SELECT pg_advisory_lock(%s, %s)", (_LOCK_CLASS, token))
    try:
        create(admin, name, like, disposable=False)
        yield name
    finally:
        drop(admin, name)
        admin.execute("SELECT pg_advisory_unlock(%s, %s)", (_LOCK_CLASS, token))


def sweep(admin: psycopg.Connection, target: Target) -> list[str]:
    """Drop what restores that were killed have left aside; those at work hold their lock.

    Returns:
        remarks for people: what was dropped, and what was not since somebody has filled it.
    """
    held = {
        token
        for (token,) in admin.execute(
            "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND classid = %s::oid AND objsubid = 2",
            (_LOCK_CLASS,),
        )
    }
    left = [
        name
        for (name,) in admin.execute("SELECT datname FROM pg_database ORDER BY 1")
        if (found := _ASIDE_NAME.fullmatch(name)) and int(found[1], 16) not in held
    ]
    notes = []
    for name in left:
        if name.endswith(_EMPTY) and _is_used(target, name):
            notes.append(
                f"{name} was filled by somebody while a restore that was killed put another "
                "database in its place: look into it, and drop it"
            )
        else:
            drop(admin, name)
            notes.append(f"left over from a restore that was killed, and removed: {name}")
    return notes


def swap_in(
    admin: psycopg.Connection, target: Target, aside_name: str, name: str, *, overwrite: bool
) -> None:
    """Give the database made aside the name of one that is there, which is dropped afterwards.

    Both names change in one transaction: at no moment, and after no crash, the name is without a
    database. Sessions in the old one are ended.

    Args:
        admin: a session in neither of them.
        target: the server.
        aside_name: what it is called so far.
        name: what it is to be called.
        overwrite: the old one may hold data.

    Raises:
        Refused: the old one was empty, and somebody has filled it; it keeps its name.
    """
    old = f"{aside_name}{_OLD if overwrite else _EMPTY}"
    if not overwrite:
        end_sessions(admin, name)
        if _is_used(target, name):
            raise _filled(target, name)
    _rename_both(admin, (name, old), (aside_name, name))
    # whoever was faster than the renaming is seen now, when nobody knows the name any more
    if not overwrite and _is_used(target, old):
        _rename_both(admin, (name, aside_name), (old, name))
        raise _filled(target, name)
    drop(admin, old)


def end_sessions(admin: psycopg.Connection, name: str) -> None:
    """End all sessions in a database."""
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
        (name,),
    )


def _rename_both(
    admin: psycopg.Connection, first: tuple[str, str], second: tuple[str, str]
) -> None:
    for attempt in range(_SWAP_ATTEMPTS):
        end_sessions(admin, first[0])
        try:
            with admin.transaction():
                rename(admin, *first)
                rename(admin, *second)
        except psycopg.errors.ObjectInUse:
            # somebody connected again in between
            if attempt == _SWAP_ATTEMPTS - 1:
                raise
        else:
            return


def _filled(target: Target, name: str) -> Refused:
    return Refused(
        f"the database {place_of(target, name)} was empty and was filled by somebody meanwhile",
        hint="nothing was replaced: restore under another name (--database NAME), or replace it "
        "with --overwrite",
    )


def rename(admin: psycopg.Connection, name: str, new: str) -> None:
    """Give a database another name."""
    admin.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(new))
    )


def refuse_used(target: Target, name: str, there: Present, *, overwrite: bool, only: bool) -> None:
    """The guard over existing data.

    Raises:
        Refused: something would be lost.
    """
    if not there.used:
        return
    place = place_of(target, name)
    if only:
        raise Refused(
            f"the database {place} holds data; single tables are not restored into it",
            hint="restore them under another name (--database NAME), and copy them from there",
        )
    if not overwrite:
        raise Refused(
            f"the database {place} holds data",
            hint="restore under another name (--database NAME), or replace it with --overwrite",
        )
