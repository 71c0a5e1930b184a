"""Reaching a Valkey server: address, TLS, user, bounded waiting, and our errors for its errors."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import valkey
from pydantic import field_validator
from valkey.backoff import NoBackoff
from valkey.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    ValkeyError,
)
from valkey.exceptions import TimeoutError as ValkeyTimeoutError
from valkey.retry import Retry

from restoreproof.config.model import ConfigPath, Duration, Settings
from restoreproof.errors import ConfigError, Unreachable
from restoreproof.secrets import Secret, SecretRef

_DEFAULT_PORT = 6379
_SCHEMES = {"valkey": False, "valkeys": True, "redis": False, "rediss": True, "unix": False}


class ValkeyAccess(Settings):
    """How a server is reached: part of every table that names one."""

    url: str | SecretRef
    """``valkey://HOST:PORT/DB``, ``valkeys://`` for TLS, ``unix:///PATH``; as a reference where it
    holds a password."""
    username: str | None = None
    """The ACL user."""
    password: SecretRef | None = None
    """Of that user."""
    tls: Literal["require", "off"] | None = None
    """``off`` has to be written where a server on another machine is reached without TLS."""
    ca: ConfigPath | None = None
    """Certificates to trust (PEM) instead of the system's."""
    certificate: ConfigPath | None = None
    """The client certificate (PEM)."""
    key: ConfigPath | None = None
    """Its private key (PEM)."""
    server_name: str | None = None
    """The name expected in the server's certificate, where it is not the host of the URL."""
    timeout: Duration = timedelta(seconds=5)
    """How long to wait for each answer; a minute at most."""

    @field_validator("url")
    @classmethod
    def _no_password_in_the_open(cls, url: str | SecretRef) -> str | SecretRef:
        if isinstance(url, str) and ValkeyAddress.parse(url).password:
            raise ValueError("holds a password; give it as password = { env = … }")
        return url

    @field_validator("timeout")
    @classmethod
    def _bounded(cls, timeout: timedelta) -> timedelta:
        if not timedelta(0) < timeout <= timedelta(minutes=1):
            raise ValueError("should be more than 0 and at most a minute")
        return timeout


@dataclass(frozen=True, slots=True)
class ValkeyAddress:
    """Where the server is; shows no password."""

    host: str
    port: int
    path: str
    database: int
    tls: bool
    username: str | None
    password: str | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> ValkeyAddress:
        """Read a URL. Options in its query are refused: they could switch certificates off.

        Raises:
            ValueError: it cannot be understood; the message does not repeat it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORT
        except ValueError:
            raise ValueError("is not a URL") from None
        if parts.scheme not in _SCHEMES:
            raise ValueError("begins with none of valkey://, valkeys://, unix://")
        if parts.query or parts.fragment:
            raise ValueError("has options behind ? or #; there are settings for them")
        unix = parts.scheme == "unix"
        if not (parts.path if unix else parts.hostname):
            raise ValueError("names no server")
        database = "" if unix else parts.path.strip("/")
        if database and not (database.isascii() and database.isdecimal()):
            raise ValueError("does not end with the number of a database")
        return cls(
            host=parts.hostname or "",
            port=port,
            path=unquote(parts.path) if unix else "",
            database=int(database or 0),
            tls=_SCHEMES[parts.scheme],
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    @property
    def local(self) -> bool:
        """Whether the way to it stays on this machine."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


class _NamedTlsConnection(valkey.SSLConnection):
    """TLS where the certificate carries another name than the address.

    Should the hook ever go away in the client library, the address is demanded in the certificate
    instead: that fails closed.
    """

    def __init__(self, *, server_name: str, **kwargs: Any) -> None:  # noqa: ANN401  passed through
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]  # untyped in the library
        self._server_name = server_name

    def _wrap_socket_with_ssl(self, sock: Any) -> Any:  # noqa: ANN401  untyped in the library
        address, self.host = self.host, self._server_name
        try:
            return super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]  # the same
        finally:
            self.host = address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and all that is needed to reach it; shows no password.

    Attributes:
        address: where it is, and the database to select.
        username: the ACL user.
        password: of that user.
        tls: whether the way there is encrypted.
        ca: certificates to trust (PEM) instead of the system's.
        certificate: the client certificate (PEM).
        key: its private key (PEM).
        server_name: the name expected in the server's certificate, where it is not the host.
        timeout: seconds to wait for each answer; None for as long as it takes.
    """

    address: ValkeyAddress
    username: str | None = None
    password: Secret | None = None
    tls: bool = False
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None
    timeout: float | None = 5.0

    def options(self) -> dict[str, Any]:
        """Of a connection pool, password included."""
        options: dict[str, Any] = {
            "db": self.address.database,
            "username": self.username,
            "password": self.password.reveal() if self.password else None,
            "socket_timeout": self.timeout,
            # one attempt: whoever calls decides about trying again
            "retry": Retry(NoBackoff(), 0),
        }
        if self.address.path:
            return {
                **options,
                "connection_class": valkey.UnixDomainSocketConnection,
                "path": self.address.path,
            }
        options |= {
            "connection_class": valkey.Connection,
            "host": self.address.host,
            "port": self.address.port,
            "socket_connect_timeout": self.timeout,
        }
        if not self.tls:
            return options
        options |= {
            "connection_class": valkey.SSLConnection,
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        }
        for option, path in (
            ("ssl_ca_certs", self.ca),
            ("ssl_certfile", self.certificate),
            ("ssl_keyfile", self.key),
        ):
            if path is not None:
                options[option] = path
        if self.server_name:
            options |= {"connection_class": _NamedTlsConnection, "server_name": self.server_name}
        return options


@contextmanager
def connected(access: ValkeyAccess, what: str) -> Iterator[valkey.Valkey]:
    """A client for the length of the block; every wait in it is bounded by ``access.timeout``.

    Args:
        access: how to reach the server.
        what: for messages: ``the alert channel "dashboard"``.

    Raises:
        Unreachable: away, refuses us, or broke off.
        ConfigError: the address is wrong, a secret or certificate is missing, or TLS is undecided.
    """
    with reached(endpoint(access, what), what) as client:
        yield client


@contextmanager
def reached(server: Endpoint, what: str) -> Iterator[valkey.Valkey]:
    """As :func:`connected`, for settings that are resolved already.

    Raises:
        Unreachable: away, refuses us, or broke off.
    """
    try:
        pool = valkey.ConnectionPool(**server.options())
        with valkey.Valkey(connection_pool=pool) as client:
            try:
                yield client
            finally:
                pool.disconnect()
    except (ValkeyError, OSError) as error:
        raise translated(error, f"{what} at {server.address}") from None


def endpoint(access: ValkeyAccess, what: str) -> Endpoint:
    """The settings with every reference resolved.

    Raises:
        ConfigError: the address is wrong, a secret is missing, or TLS is undecided.
    """
    address = _address(access, what)
    password = access.password.resolve() if access.password else None
    if password is None and address.password:
        password = Secret(address.password)
    return Endpoint(
        address=replace(address, username=None, password=None),
        username=access.username or address.username,
        password=password,
        tls=not address.path and (address.tls or access.tls == "require"),
        ca=str(access.ca) if access.ca else None,
        certificate=str(access.certificate) if access.certificate else None,
        key=str(access.key) if access.key else None,
        server_name=access.server_name,
        timeout=access.timeout.total_seconds(),
    )


def _address(access: ValkeyAccess, what: str) -> ValkeyAddress:
    url = access.url if isinstance(access.url, str) else access.url.resolve().reveal()
    try:
        address = ValkeyAddress.parse(url)
    except ValueError as error:
        raise ConfigError(
            f"the URL of {what} {error}", hint="write it as valkeys://HOST:PORT/DB"
        ) from None
    if not address.local and not address.tls and access.tls is None:
        raise ConfigError(
            f"{what} is not on this machine and would be reached without TLS",
            hint='write valkeys:// for TLS, or tls = "off" where the way there is safe',
        )
    if access.tls == "off" and address.tls:
        raise ConfigError(
            f'{what} has a URL with TLS and the setting tls = "off"', hint="drop one of the two"
        )
    return address


def translated(error: ValkeyError | OSError, what: str) -> Unreachable:
    """The client's error in our words: its own text may repeat what we sent."""
    text = str(error)
    if isinstance(error, ssl.SSLError) or "SSL" in text or "certificate" in text:
        return Unreachable(
            f"{what} did not pass the TLS check",
            hint="check ca, certificate, server_name, and that the server speaks TLS on this port",
        )
    if isinstance(error, NoPermissionError):
        return Unreachable(
            f"{what} gives this user no permission", hint="grant it what the documentation lists"
        )
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return Unreachable(
            f"{what} refuses this user or password", hint="check username and password"
        )
    if isinstance(error, (ValkeyTimeoutError, TimeoutError)):
        return Unreachable(f"{what} does not answer in time", hint="is it overloaded or filtered?")
    if isinstance(error, OutOfMemoryError):
        return Unreachable(f"{what} is out of memory", hint="raise maxmemory, or remove old keys")
    if isinstance(error, ReadOnlyError):
        return Unreachable(f"{what} is a read-only replica", hint="name the primary")
    if isinstance(error, ResponseError):
        return Unreachable(
            f"{what} refuses the command", hint="does the key hold something else already?"
        )
    return Unreachable(f"{what} cannot be reached", hint="is it running, and is the address right?")
