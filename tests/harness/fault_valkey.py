"""A Valkey server with a little of everything in it, and what to injure: for the fault suites."""

from __future__ import annotations

import random
import shlex

import valkey

from tests.harness.fault_rig import StoreRig
from tests.harness.valkey import ValkeyServer
from tests.harness.valkey_content import FUNCTION, command

_PIECE = 1 << 20
READER = "ACL SETUSER reader on >secret ~order:* +@read"
"""Makes the user, whom no RDB file keeps."""


def valkey_rig(server: ValkeyServer, *, entries: int = 300) -> StoreRig:
    """The server emptied, and filled with ``entries`` strings, other types, a function, a user."""
    with server.client() as client:
        client.flushall()
        client.function_flush()
        _remove_users(client)
        client.mset({f"order:{n}": f"item {n}" for n in range(1, entries + 1)})
        client.rpush("queue", *(f"order:{n}" for n in range(50)))
        client.zadd("prices", {f"order:{n}": n / 7 for n in range(50)})
        client.hset("names", mapping={str(n): f"name {n}" for n in range(50)})
        command(client, "FUNCTION", "LOAD", FUNCTION)
        command(client, *READER.split())

    def execute(statement: str) -> None:
        with server.client() as client:
            command(client, *shlex.split(statement))

    def content() -> object:
        with server.client() as client:
            return (
                command(client, "DEBUG", "DIGEST"),
                client.dbsize(),
                client.function_list(),
                sorted(client.acl_list()),
            )

    def emptied() -> bool:
        with server.client() as client:
            return bool(client.dbsize() == 0)

    def remains() -> list[str]:
        with server.client() as client:
            own = client.client_id()
            found = [f"client {c}" for c in client.client_list() if int(c["id"]) != own]
            if client.info("persistence")["rdb_bgsave_in_progress"]:
                found.append("a fork that still writes")
        return found

    def grow(size: int) -> None:
        with server.client() as client:
            for n in range(max(1, size // _PIECE)):
                client.set(f"bulk:{n}", random.Random(n).randbytes(_PIECE))

    def shrink() -> None:
        with server.client() as client:
            client.delete(*client.scan_iter("bulk:*"))

    def alter() -> None:
        with server.client() as client:
            client.mset({f"order:{n}": f"altered {n}" for n in range(1, entries + 1)})

    return StoreRig(
        kind="valkey",
        section='url = { file = "orders.url" }',
        files={"orders.url": server.unix_url},
        server=server.pid,
        data=server.home,
        content=content,
        remains=remains,
        grow=grow,
        shrink=shrink,
        alter=alter,
        execute=execute,
        demand_password=lambda: execute("ACL SETUSER locked on >right ~* &* +@all"),
        place=str(server.socket),
        socket_name="valkey.sock",
        port=server.port,
        emptied=emptied,
    )


def _remove_users(client: valkey.Valkey) -> None:
    others = [name for name in command(client, "ACL", "USERS") if name != "default"]
    if others:
        client.acl_deluser(*others)
