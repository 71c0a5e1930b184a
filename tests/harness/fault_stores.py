"""For every kind of store, one with a little data in it, and what to injure: for the fault suites.

A kind is one more entry in :data:`RIGS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.harness.fault_rig import StoreRig
from tests.harness.fault_valkey import valkey_rig
from tests.harness.postgres import PostgresServer


def postgres_rig(server: PostgresServer, *, rows: int = 300) -> StoreRig:
    """A new database ``orders`` with a table of that name, a view, indexes and a sequence."""
    dsn = server.create_database()
    name = str(conninfo_to_dict(dsn)["dbname"])
    with server.connect(name) as connection:
        connection.execute(
            "create table orders (id bigserial primary key, item text not null, price numeric)"
        )
        connection.execute(
            "insert into orders (item, price)"
            " select 'item ' || n, n / 7.0 from generate_series(1, %s) n",
            (rows,),
        )
        connection.execute("create index by_item on orders (item)")
        connection.execute("create view dear as select * from orders where price > 10")

    def content() -> object:
        with server.connect(name) as connection:
            return connection.execute(
                "select count(*), md5(string_agg(orders::text, '|' order by id)) from orders"
            ).fetchone()

    def remains() -> list[str]:
        with server.connect() as connection:
            found = connection.execute(
                "select 'session ' || application_name || ': ' || coalesce(query, '')"
                " from pg_stat_activity where application_name like 'restoreproof%%'"
                " union all select 'prepared ' || gid from pg_prepared_xacts"
                " union all select 'slot ' || slot_name from pg_replication_slots"
                " union all select 'database ' || datname from pg_database"
                " where datname like %s and datname <> %s"
                " or datname like '%%restoreproof%%'",
                (f"%{name}%", name),
            ).fetchall()
        return [text for (text,) in found]

    def grow(size: int) -> None:
        with server.connect(name) as connection:
            connection.execute("create table if not exists bulk (id bigserial, data bytea)")
            # 1 MiB a piece that does not compress; copies lie too far apart for that as well
            pieces = max(1, size >> 20)
            connection.execute(
                "insert into bulk (data) select (select string_agg(sha256((n * 32768 + k)"
                "::text::bytea), '') from generate_series(1, 32768) k)"
                " from generate_series(1, %s) n",
                (min(pieces, 8),),
            )
            connection.execute(
                "insert into bulk (data) select data from bulk, generate_series(2, %s)"
                " where bulk.id <= 8",
                (pieces // 8,),
            )

    def alter() -> None:
        with server.connect(name) as connection:
            connection.execute("update orders set item = 'altered ' || id")

    def execute(statement: str) -> None:
        with server.connect(name) as connection:
            connection.execute(statement)

    def demand_password() -> None:
        execute(
            "do $$ begin if not exists (select from pg_roles where rolname = 'locked') then "
            "create role locked login superuser password 'right'; end if; end $$"
        )
        rules = server.data / "pg_hba.conf"
        rule = "local all locked scram-sha-256\n"
        if not rules.read_text().startswith(rule):
            rules.write_text(rule + rules.read_text())
        execute("select pg_reload_conf()")

    return StoreRig(
        kind="postgres",
        section='dsn = { file = "orders.dsn" }',
        files={"orders.dsn": dsn},
        server=server.pid,
        data=server.home,
        content=content,
        remains=remains,
        grow=grow,
        shrink=lambda: execute("drop table bulk"),
        alter=alter,
        execute=execute,
        demand_password=demand_password,
        place=name,
        socket_name=".s.PGSQL.5432",
        dumper="pg_dump",
        restorer="pg_restore",
    )


RIGS: Mapping[str, Callable[[pytest.FixtureRequest], StoreRig]] = {
    "postgres": lambda request: postgres_rig(request.getfixturevalue("postgres")),
    "valkey": lambda request: valkey_rig(request.getfixturevalue("valkey_server")),
}
"""By the kind of store, on the server that the tests share."""

WITH_DUMP_PROGRAM = ("postgres",)
"""Kinds whose data is fetched and restored by a program of its own."""
