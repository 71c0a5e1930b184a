"""Materialized views whose query may write: computed anew without letting it change the copy.

A restore computes a materialized view after everything else. A function that its query calls may
write, and what it writes then was not at the source. In a rehearsal the views are computed all the
same, since that may fail; but one that wrote is taken back, and stays empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import sql

from backup_lib.model import Fingerprint, NotCovered, Target
from backup_lib.stores.postgres.allowlist import ToolError
from backup_lib.stores.postgres.connection import connect, translated
from backup_lib.stores.postgres.failures import sentence
from backup_lib.stores.postgres.judgement import verdict

_WRITTEN = """
SELECT format('%I.%I', schemaname, relname)::text FROM pg_stat_xact_all_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND schemaname !~ '^pg_'
  AND relid NOT IN (SELECT oid FROM pg_class WHERE relkind = 'm') ORDER BY 1
"""
_SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename)::text, coalesce(last_value, start_value),
       last_value IS NOT NULL FROM pg_sequences
"""
_EMPTY = """
SELECT format('%I.%I', n.nspname, c.relname)::text FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND NOT c.relispopulated
"""
_WAITS = "has not been populated"
_DEFINITION = "materialized view definition"
_LEFT_EMPTY = (
    "left empty in this copy: a function that its query calls writes into other tables, and would "
    "do so in every restore"
)


def refresh(place: Target, views: Sequence[str]) -> None:
    """Compute materialized views, and take back those that write into something else.

    Args:
        place: a disposable server, and the database.
        views: names as SQL spells them, in any order.

    Raises:
        JudgedBad: one cannot be computed.
        Unreachable: the server broke off.
    """
    todo, left = list(views), None
    while todo and todo != left:
        # one that reads another waits for it
        left, todo = todo, [view for view in todo if not _computed(place, view)]


def left_empty(place: Target, views: Sequence[str]) -> tuple[NotCovered, ...]:
    """Those of the views that are empty in a copy, though they were not at the source."""
    with connect(place) as connection, translated(place, "looking at the materialized views"):
        empty = {name for (name,) in connection.execute(_EMPTY)}
    return tuple(
        NotCovered("materialized view", view, _LEFT_EMPTY) for view in views if view in empty
    )


def without_emptiness(found: Fingerprint, empty: tuple[NotCovered, ...]) -> Fingerprint:
    """A fingerprint without the definitions of those views, of which emptiness is a part."""
    names = {gap.name for gap in empty}
    items = (i for i in found.items if i.kind != _DEFINITION or i.name not in names)
    gaps = (NotCovered(_DEFINITION, gap.name, gap.reason) for gap in empty)
    return replace(found, items=tuple(items), not_covered=(*found.not_covered, *gaps))


def _computed(place: Target, view: str) -> bool:
    """Whether it was tried to the end; False where another view must be computed first."""
    statement = f"REFRESH MATERIALIZED VIEW {view}"
    # a connection of its own: what one has written is counted on in its next transactions
    with connect(place) as connection, translated(place, "computing the materialized views"):
        connection.execute("SET search_path = ''")
        try:
            with _sequences_kept(connection), connection.transaction() as transaction:
                connection.execute(statement.encode())
                if connection.execute(_WRITTEN.encode()).fetchone():
                    raise psycopg.Rollback(transaction)
        except psycopg.Error as error:
            said = sentence(error)
            if _WAITS in said:
                return False
            raise verdict(ToolError(said, statement), said, place) from None
    return True


@contextmanager
def _sequences_kept(connection: psycopg.Connection) -> Iterator[None]:
    """What is drawn from a sequence is not taken back with a transaction."""
    before = set(connection.execute(_SEQUENCES.encode()))
    try:
        yield
    finally:
        for name, last, called in before - set(connection.execute(_SEQUENCES.encode())):
            connection.execute(
                sql.SQL("SELECT setval({}::regclass, {}, {})").format(name, last, called)
            )
