"""Our own connections to PostgreSQL, and what their errors mean to a person."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import LiteralString

import psycopg
from psycopg.conninfo import make_conninfo

from backup_lib.model import Target
from backup_lib.stores.postgres import failures
from restoreproof.errors import Unreachable

APPLICATION = "restoreproof"
CONNECT_SECONDS = 10
"""For one address; libpq's own default is to wait for ever."""

_KEEPALIVE = {"keepalives_idle": "60", "keepalives_interval": "15", "keepalives_count": "8"}
"""A session that holds a lock says nothing for hours while a dump is restored: no firewall on the
way is to forget it."""

_PINNED = (
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET search_path = pg_catalog",
    "SET DateStyle = ISO",
)

_PINNED_SINCE: tuple[tuple[int, LiteralString], ...] = (
    (14_00_00, "SET idle_session_timeout = 0"),
    (17_00_00, "SET transaction_timeout = 0"),
)

# What the server or libpq says (in English), what to do about it.
_HINTS: tuple[tuple[str, str], ...] = (
    ("password authentication failed", "check user and password; .pgpass counts where none is set"),
    ("no password supplied", "set password = { env = … } or { file = … }, or add a .pgpass line"),
    ("no pg_hba.conf entry", "allow this host, user and database in the server's pg_hba.conf"),
    ("does not support SSL", 'turn TLS on in the server, or write tls = "off" if that is meant'),
    (
        "certificate verify failed",
        "name the authority that signed its certificate: tls.ca",
    ),
    ("server certificate for", "use the name in the certificate as host, or set tls.server_name"),
    ("root certificate file", "name the authority that signed its certificate: tls.ca"),
    ("certificate required", "give this client a certificate: tls.cert and tls.key"),
    ("private key file", "the client key must exist and be readable by its owner only (chmod 600)"),
    ("translate host name", "check the host's name"),
    ("Name or service not known", "check the host's name"),
    ("Connection refused", "is the server running, and does it listen on that address and port?"),
    ("No such file or directory", "is the server running, and is its socket in that folder?"),
    ("timeout expired", "is the server up, and does a firewall let this machine through?"),
    ("too many clients", "raise max_connections, or lower jobs"),
    ("remaining connection slots", "raise max_connections, or lower jobs"),
    ("starting up", "wait until the server has started"),
    ("shutting down", "start the server again"),
    ('database "', "create the database, or correct its name"),
    ('role "', "create the role, or correct the user's name"),
)


def connect(
    target: Target, *, dbname: str | None = None, application: str = APPLICATION
) -> psycopg.Connection:
    """A connection in autocommit mode, with timeouts off and the search path pinned.

    Args:
        target: the server and database.
        dbname: another database of that server.
        application: what ``pg_stat_activity`` shows.

    Raises:
        Unreachable: no connection; the hint says what to look at.
    """
    params = {
        "connect_timeout": str(CONNECT_SECONDS),
        **_KEEPALIVE,
        **target.params,
        "application_name": application,
        "client_encoding": "UTF8",
    }
    if dbname is not None:
        params["dbname"] = dbname
    if target.password is not None:
        params["password"] = target.password.reveal()
    try:
        connection = psycopg.connect(make_conninfo("", **params), autocommit=True)
    except psycopg.Error as error:
        raise unreachable(error, target, dbname) from None
    try:
        for statement in _PINNED:
            connection.execute(statement)
        for since, statement in _PINNED_SINCE:
            if connection.info.server_version >= since:
                connection.execute(statement)
    except psycopg.Error as error:
        connection.close()
        raise unreachable(error, target, dbname) from None
    return connection


def with_settings(target: Target, settings: Mapping[str, str]) -> Target:
    """The same target, with settings for every session in it; they win over a database's own.

    Most poolers refuse sessions that bring settings: give none where none is needed.

    Args:
        target: the server and database.
        settings: values of plain words, by the name of the setting.
    """
    if not settings:
        return target
    given = [target.params["options"]] if "options" in target.params else []
    options = " ".join([*given, *(f"-c {name}={word}" for name, word in settings.items())])
    return replace(target, params={**target.params, "options": options})


def place_of(target: Target, dbname: str | None = None) -> str:
    """How messages call a database: ``orders on db.example:5432``."""
    params = target.params
    host = params.get("host") or params.get("hostaddr") or "the local socket"
    port = f":{params['port']}" if "port" in params and not host.startswith("/") else ""
    name = dbname or database_of(target)
    return f"{name} on {host}{port}"


def database_of(target: Target) -> str:
    """The database's name: libpq takes the user's where none is given."""
    from getpass import getuser

    return target.params.get("dbname") or target.params.get("user") or getuser()


def hint_for(text: str) -> str:
    """What to do about something that libpq or the server said."""
    return next((hint for sign, hint in _HINTS if sign in text), "look into the server's log")


def unreachable(error: psycopg.Error, target: Target, dbname: str | None = None) -> Unreachable:
    """What a failed connection means."""
    text = failures.sentence(error)
    user = target.params.get("user", "the user")
    if "permission denied for database" in text:
        hint = f"GRANT CONNECT ON DATABASE {dbname or database_of(target)} TO {user}"
    else:
        hint = hint_for(text)
    return Unreachable(
        f"PostgreSQL database {place_of(target, dbname)} cannot be used: {text}", hint=hint
    )


def translated(target: Target, doing: str) -> AbstractContextManager[None]:
    """Turn psycopg's errors within the block into ours, which name the database and the role."""
    user = target.params.get("user", "")
    return failures.translated(doing, where=place_of(target), user=user)


def value(connection: psycopg.Connection, query: LiteralString, *params: object) -> object:
    """The single value of a query of one row and one column."""
    row = connection.execute(query, params or None).fetchone()
    assert row is not None
    return row[0]
