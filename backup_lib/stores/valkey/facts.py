"""What a server says about itself, and which servers are not backed up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import valkey

from backup_lib.model import ServerFacts
from restoreproof.errors import Refused, Unreachable

VALKEY, REDIS = "Valkey", "Redis"
_FIRST_FOREIGN_REDIS = (7, 4)
_OWN_MODULES = frozenset({"lua"})
"""Part of the server itself; holds no data."""


@dataclass(frozen=True, slots=True)
class Info:
    """The parts of ``INFO`` that matter here.

    Attributes:
        product: ``Valkey`` or ``Redis``.
        version: as it says it.
        replica: whether it follows another server.
        link_up: whether it is connected to that one.
        cluster: whether it is a shard of a cluster.
        modules: names of those that may hold data.
        databases: number of keys by number of the logical database.
        volatile_fields: logical databases with hash fields that expire.
        fork_microseconds: how long its last fork took.
        policy: what it does when its memory is full.
        expired_while_loading: keys that its last load left out, since they had expired.
    """

    product: str
    version: str
    replica: bool
    link_up: bool
    cluster: bool
    modules: tuple[str, ...]
    databases: Mapping[int, int]
    volatile_fields: frozenset[int]
    fork_microseconds: int
    policy: str
    expired_while_loading: int

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version."""
        return release(self.version)

    @property
    def facts(self) -> ServerFacts:
        """For the manifest."""
        return ServerFacts(self.product, self.version)


def release(version: str) -> tuple[int, int]:
    """``(9, 1)`` of ``9.1.2``."""
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return int(major or 0), int(minor or 0)


def read(client: valkey.Valkey) -> Info:
    """Ask the server."""
    said: dict[str, Any] = client.info()  # type: ignore[assignment]  # typed for both flavours
    version = said.get("valkey_version") or said.get("redis_version")
    if version is None:
        raise Unreachable(
            "the server does not say its version",
            hint="is it Valkey or Redis, and may INFO be run?",
        )
    modules = said.get("modules", [])
    modules = modules if isinstance(modules, list) else [modules]
    keyspace = {int(name[2:]): about for name, about in said.items() if _is_database(name, about)}
    tells_volatile = any("keys_with_volatile_items" in about for about in keyspace.values())
    product = VALKEY if "valkey_version" in said else REDIS
    return Info(
        product=product,
        version=str(version),
        replica=said.get("role") == "slave",
        link_up=said.get("master_link_status", "up") == "up",
        cluster=bool(said.get("cluster_enabled")),
        modules=tuple(m["name"] for m in modules if m.get("name") not in _OWN_MODULES),
        databases={number: int(about["keys"]) for number, about in sorted(keyspace.items())},
        volatile_fields=frozenset(
            number
            for number, about in keyspace.items()
            if about.get("keys_with_volatile_items", 0)
            or (not tells_volatile and product == VALKEY and release(str(version)) >= (9, 0))
        ),
        fork_microseconds=int(said.get("latest_fork_usec", 0)),
        policy=str(said.get("maxmemory_policy", "noeviction")),
        expired_while_loading=int(said.get("rdb_last_load_keys_expired", 0)),
    )


def _is_database(name: str, about: object) -> bool:
    return name.startswith("db") and name[2:].isdecimal() and isinstance(about, dict)


def refuse_unfit(info: Info, place: str) -> None:
    """Let nothing through that could not be backed up rightly.

    Raises:
        Refused: a shard of a cluster, a foreign format, or a replica that has lost its primary.
    """
    if info.cluster:
        raise Refused(
            f"{place} is one shard of a cluster, and its backup would be only a part of the data",
            hint="clusters are not supported by this version; nothing was backed up",
        )
    if info.product == REDIS and info.release >= _FIRST_FOREIGN_REDIS:
        raise Refused(
            f"{place} is Redis {info.version}, whose format Valkey cannot read",
            hint="Redis up to 7.2 and Valkey from 7.2 on are supported",
        )
    if info.replica and not info.link_up:
        raise Refused(
            f"{place} is a replica that has lost its primary: its content may be old",
            hint="mend the replication, or back up the primary",
        )
