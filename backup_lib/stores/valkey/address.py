"""From settings to a target and from a target to a connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import valkey

from backup_lib.model import Target
from backup_lib.stores.valkey.settings import ValkeyStoreSettings
from restoreproof.valkey_client import Endpoint, ValkeyAddress, endpoint, reached

SOCKET_PARAM = "unix_socket_path"
_DEFAULT_TIMEOUT = 30.0


def resolve(settings: ValkeyStoreSettings, name: str) -> Target:
    """Where the settings point, as a target.

    Raises:
        ConfigError: the address is wrong, a secret is missing, or TLS is undecided.
    """
    server = endpoint(settings, f"the store {name}")
    address = server.address
    params = {SOCKET_PARAM: address.path} if address.path else _tcp(server)
    if server.username:
        params["username"] = server.username
    params["timeout"] = f"{server.timeout:g}"
    return Target("valkey", params, password=server.password)


def _tcp(server: Endpoint) -> dict[str, str]:
    params = {"host": server.address.host, "port": str(server.address.port)}
    if server.tls:
        params["tls"] = "require"
    for name in ("ca", "certificate", "key", "server_name"):
        if value := getattr(server, name):
            params[name] = value
    return params


def endpoint_of(target: Target, database: int = 0) -> Endpoint:
    """How a target is reached."""
    params = target.params
    tls = params.get("tls") == "require"
    address = ValkeyAddress(
        host=params.get("host", ""),
        port=int(params.get("port", "0")),
        path=params.get(SOCKET_PARAM, ""),
        database=database,
        tls=tls,
        username=None,
        password=None,
    )
    return Endpoint(
        address=address,
        username=params.get("username"),
        password=target.password,
        tls=tls,
        ca=params.get("ca"),
        certificate=params.get("certificate"),
        key=params.get("key"),
        server_name=params.get("server_name"),
        timeout=float(params.get("timeout", _DEFAULT_TIMEOUT)),
    )


def place_of(target: Target) -> str:
    """The server's address, for people."""
    return str(endpoint_of(target).address)


@contextmanager
def connect(target: Target, database: int = 0, *, patient: bool = False) -> Iterator[valkey.Valkey]:
    """A client of one logical database; keys and values are bytes.

    Args:
        target: the server.
        database: its number.
        patient: wait for each answer as long as it takes.

    Raises:
        Unreachable: away, refuses us, or broke off.
    """
    server = endpoint_of(target, database)
    with reached(replace(server, timeout=None) if patient else server, "the server") as client:
        yield client


@contextmanager
def raw_connection(target: Target, database: int = 0) -> Iterator[Any]:
    """One connection of the client library, logged in and with nothing under way.

    Raises:
        Unreachable: the server is away, refuses us, or broke off.
    """
    with connect(target, database) as client:
        connection = client.connection_pool.make_connection()
        try:
            connection.connect()
            yield connection
        finally:
            connection.disconnect()
