"""Single tables."""

from __future__ import annotations

import pytest

from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.work import Work
from restoreproof.errors import (
    RestoreproofError,
    UsageError,
)
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import PostgresServer
from tests.harness.restores import NASTY, names, place, rows

# ── parts ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NASTY)
def test_one_table_is_restored_whatever_its_name(
    other: PostgresServer, work: Work, source: MemorySource, name: str
) -> None:
    options = RestoreOptions(only=(name,), database="part")
    PostgresRestorer().restore(source, place(other, "part"), options, work)
    query = b"SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
    assert rows(other, "part", query) == [(name,)]
    quoted = '"' + name.replace('"', '""') + '"'
    assert rows(other, "part", f"SELECT * FROM {quoted}".encode()) == [(1, "x")]
    other.drop_database("part")


@pytest.mark.usefixtures("reader")
def test_a_table_comes_with_what_belongs_to_it(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    options = RestoreOptions(only=("public.orders", "customers", "events"), database="part")
    PostgresRestorer().restore(source, place(other, "part"), options, work)
    relations = rows(
        other, "part", b"SELECT relname FROM pg_class WHERE oid >= 16384 AND relname !~ 'pg_toast'"
    )
    assert {name for (name,) in relations} == {
        "orders", "orders_id_seq", "orders_pkey", "orders_by_customer",
        "customers", "customers_id_seq", "customers_pkey", "customers_name_key",
        "events", "events_26",
    }  # fmt: skip
    counts = b"SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM events)"
    assert rows(other, "part", counts) == [(500, 1)]
    assert rows(other, "part", b"SELECT nextval('customers_id_seq')") == [(51,)]
    other.drop_database("part")


@pytest.mark.parametrize(
    ("name", "said"),
    [("orders", "several tables"), ("ordes", "there is no table ordes"), ("x" * 70, "no table")],
)
def test_a_name_that_does_not_fit_one_table_is_refused(
    other: PostgresServer, work: Work, source: MemorySource, name: str, said: str
) -> None:
    before = names(other)
    with pytest.raises(UsageError, match=said):
        PostgresRestorer().restore(source, place(other, "part"), RestoreOptions(only=(name,)), work)
    assert names(other) == before


def test_single_tables_go_nowhere_where_data_is(
    other: PostgresServer, work: Work, source: MemorySource
) -> None:
    other.create_database("full")
    with other.connect("full") as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS n")
    for options in (
        RestoreOptions(only=("customers",)),
        RestoreOptions(only=("customers",), overwrite=True),
    ):
        with pytest.raises(RestoreproofError, match="single tables"):
            PostgresRestorer().restore(source, place(other, "full"), options, work)
    assert rows(other, "full", b"SELECT n FROM precious") == [(1,)]
    other.drop_database("full")
