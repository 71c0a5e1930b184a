"""From settings to the address of a database: libpq keywords, and the password apart from them.

libpq's own sources count as they do for ``psql``: environment variables, the service file,
``.pgpass``, ``~/.postgresql``. They are resolved here, once, so that our own connections and the
client tools (which get a clean environment) see the same thing.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from backup_lib.model import Target
from backup_lib.stores.postgres.settings import PostgresSettings, PostgresTls
from restoreproof.errors import ConfigError, Unreachable
from restoreproof.secrets import Secret

KIND = "postgres"

ENCRYPTED = ("require", "verify-ca", "verify-full")
_NEVER_FROM_OUTSIDE = {
    "service",  # is expanded
    "password",  # is kept apart
    "options",  # poolers refuse it, and it could change what our queries mean
    "client_encoding",
    "application_name",
    "fallback_application_name",
    "replication",
    "sslkeylogfile",
}
_SECRET_KEYWORDS = ("sslpassword", "oauth_client_secret")


def resolve(settings: PostgresSettings, base: Path) -> Target:
    """Where the configured database is.

    Args:
        settings: of the store.
        base: the folder that relative paths start from.

    Raises:
        ConfigError: a secret is missing, the DSN is malformed, or the connection would leave this
            machine without TLS although that was not asked for.
        Unreachable: the host behind ``tls.server_name`` has no address.
    """
    given = _from_dsn(settings, base) if settings.dsn else _from_fields(settings, base)
    params = _completed(given)
    _refuse_key_passphrase(params)
    password = params.pop("password", None)
    _apply_tls(params, settings.tls, base)
    secret = Secret(password) if password else None
    return Target(KIND, dict(sorted(params.items())), secret)


def is_local(params: Mapping[str, str]) -> bool:
    """Whether a connection with these keywords stays on this machine: a socket or loopback."""
    places = params.get("hostaddr") or params.get("host") or ""
    return all(_is_local_place(place.strip()) for place in places.split(","))


def _is_local_place(place: str) -> bool:
    if not place or place.startswith(("/", "@")) or place == "localhost":
        return True
    try:
        return ipaddress.ip_address(place).is_loopback
    except ValueError:
        return False


def _from_dsn(settings: PostgresSettings, base: Path) -> dict[str, str]:
    assert settings.dsn is not None
    text = settings.dsn.resolve(base).reveal()
    try:
        return {key: str(value) for key, value in conninfo_to_dict(text).items() if value}
    except (psycopg.Error, UnicodeError):
        pass  # its message quotes the DSN
    raise ConfigError(
        "the value of dsn is not a PostgreSQL connection string",
        hint='write it as "postgresql://user:password@host:5432/dbname" or "host=… dbname=…"',
        key="dsn",
    )


def _from_fields(settings: PostgresSettings, base: Path) -> dict[str, str]:
    params = {
        key: str(value)
        for key in ("service", "host", "port", "dbname", "user")
        if (value := getattr(settings, key)) is not None
    }
    if settings.passfile is not None:
        params["passfile"] = _file(settings.passfile, base)
    if settings.password is not None:
        params["password"] = settings.password.resolve(base).reveal()
    return params


def _completed(given: dict[str, str]) -> dict[str, str]:
    """With what the service file and the environment add, in libpq's order of precedence."""
    service = given.get("service") or os.environ.get("PGSERVICE")
    if service:
        return _expanded({**given, "service": service})
    params = dict(given)
    for option in pq.Conninfo.get_defaults():
        keyword = option.keyword.decode()
        name = option.envvar.decode() if option.envvar else ""
        value = os.environ.get(name)
        if value and keyword not in params and keyword not in _NEVER_FROM_OUTSIDE - {"password"}:
            params[keyword] = value
    return {key: value for key, value in params.items() if key not in _dropped()}


def _expanded(params: Mapping[str, str]) -> dict[str, str]:
    """Let libpq itself read the service file. Nothing is sent: the attempt is dropped at once."""
    attempt = pq.PGconn.connect_start(make_conninfo("", **params).encode())
    try:
        known = {option.keyword.decode(): option for option in attempt.info}
        message = attempt.error_message.decode(errors="replace").strip()
    finally:
        attempt.finish()
    if "service" in message:
        raise ConfigError(
            f"the service {params['service']!r} is not in the service file",
            hint="libpq looks into ~/.pg_service.conf, PGSERVICEFILE and PGSYSCONFDIR",
            key="service",
        )
    return {
        keyword: option.val.decode()
        for keyword, option in known.items()
        if option.val
        and (option.val != option.compiled or keyword in params)
        and keyword not in _dropped()
    }


def _dropped() -> set[str]:
    return _NEVER_FROM_OUTSIDE - {"password"}


def _refuse_key_passphrase(params: Mapping[str, str]) -> None:
    for keyword in _SECRET_KEYWORDS:
        if keyword in params:
            raise ConfigError(
                f"{keyword} cannot be handed to pg_dump without showing it to other processes",
                hint="use a client key without a passphrase, readable by its owner only",
                key="dsn",
            )


def _apply_tls(params: dict[str, str], tls: PostgresTls | str | None, base: Path) -> None:
    asked = params.get("sslmode")
    if tls == "off":
        if asked in ENCRYPTED:
            raise ConfigError(
                f'tls is "off", but the connection string says sslmode={asked}',
                hint="remove one of the two",
                key="tls",
            )
        params["sslmode"] = "disable"
        return
    if isinstance(tls, PostgresTls):
        _take_over(params, tls, base)
    elif is_local(params):
        return
    elif asked is not None and asked not in ENCRYPTED:
        raise ConfigError(
            f"sslmode={asked} would let the data leave this machine without encryption",
            hint='say sslmode=verify-full with sslrootcert, or write tls = "off" if it is meant',
            key="tls",
        )
    if params.get("sslmode") not in ENCRYPTED:
        params["sslmode"] = "verify-full" if "sslrootcert" in params else "require"


def _take_over(params: dict[str, str], tls: PostgresTls, base: Path) -> None:
    if tls.mode is not None:
        params["sslmode"] = tls.mode
    for keyword, path in (
        ("sslrootcert", tls.ca),
        ("sslcert", tls.cert),
        ("sslkey", tls.key),
        ("sslcrl", tls.crl),
    ):
        if path is not None:
            params[keyword] = path if isinstance(path, str) else _file(path, base)
    if tls.server_name is not None:
        host = params.get("host", "")
        if not host or "," in host or host.startswith(("/", "@")):
            raise ConfigError(
                "tls.server_name needs exactly one host that is reached over the network",
                hint="name the host",
                key="tls.server_name",
            )
        params["hostaddr"] = params.get("hostaddr") or _address_of(host)
        params["host"] = tls.server_name


def _file(path: Path, base: Path) -> str:
    return str(base / path.expanduser())


def _address_of(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise Unreachable(
            f"the host {host!r} has no address: {error.strerror or error}",
            hint="check the name, and that this machine's resolver knows it",
        ) from error
