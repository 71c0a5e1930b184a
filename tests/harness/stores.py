"""For every kind of store, a real server for the contract suite, and hands to reach into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from backup_lib.kinds import STORES
from backup_lib.model import Target
from backup_lib.stores.base import Source
from backup_lib.stores.valkey.address import SOCKET_PARAM, connect

ENTRIES = 300


@dataclass(frozen=True)
class StoreRig:
    """One kind of store.

    Attributes:
        ready: a new server of the sandbox, with ``ENTRIES`` entries in it; where they are.
        settings: of a store there.
        stranger: what the settings of somebody whom the server does not know have besides.
        alter: changes one entry.
        count: number of entries.
    """

    kind: str
    ready: Callable[[Target], Target]
    settings: Callable[[Target], dict[str, object]]
    stranger: Mapping[str, object]
    alter: Callable[[Target], None]
    count: Callable[[Target], int]

    def source(self, target: Target, **more: object) -> Source:
        """A store as the configuration would make it."""
        plugin = STORES.load(self.kind)
        settings = plugin.settings().model_validate({**self.settings(target), **more})
        return plugin.source("test", settings, Path("/"))

    def live(self, target: Target) -> Target:
        """The same place, as one whose content is worth keeping."""
        return replace(target, disposable=False)


def _postgres() -> StoreRig:
    def session(target: Target) -> psycopg.Connection:
        return psycopg.connect(make_conninfo(**target.params), autocommit=True)

    def ready(target: Target) -> Target:
        with session(target) as connection:
            connection.execute("create database shop")
        shop = replace(target, params={**target.params, "dbname": "shop"})
        with session(shop) as connection:
            connection.execute(
                "create table entries as select n, 'entry ' || n as text "
                f"from generate_series(1, {ENTRIES}) n"
            )
        return shop

    def alter(target: Target) -> None:
        with session(target) as connection:
            connection.execute("update entries set text = 'another' where n = 7")

    def count(target: Target) -> int:
        with session(target) as connection:
            return len(connection.execute("select from entries").fetchall())

    return StoreRig(
        kind="postgres",
        ready=ready,
        settings=lambda target: {**target.params, "port": int(target.params["port"])},
        stranger={"user": "stranger"},
        alter=alter,
        count=count,
    )


def _valkey() -> StoreRig:
    def ready(target: Target) -> Target:
        with connect(target) as client:
            client.mset({f"entry:{n}": f"entry {n}" for n in range(ENTRIES)})
        return target

    def alter(target: Target) -> None:
        with connect(target) as client:
            client.set("entry:7", "another")

    def count(target: Target) -> int:
        with connect(target) as client:
            return int(client.dbsize())  # type: ignore[arg-type]

    return StoreRig(
        kind="valkey",
        ready=ready,
        settings=lambda target: {"url": f"unix://{target.params[SOCKET_PARAM]}"},
        stranger={"username": "stranger", "password": {"env": "STRANGER"}},
        alter=alter,
        count=count,
    )


RIGS: Mapping[str, Callable[[], StoreRig]] = {"postgres": _postgres, "valkey": _valkey}
