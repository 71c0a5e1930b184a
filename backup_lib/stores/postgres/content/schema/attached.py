"""What hangs on a table: indexes, constraints, triggers, rules, policies, extended statistics.

What a partition or a child has only because its parent has it (the index of a partitioned index,
an inherited check, a trigger's clone) is no item of its own but a fact about the table: a table of
50,000 partitions has as many items, not ten times as many. The index of a constraint is a fact
about the constraint.
"""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.scope import (
    Majors,
    facts,
    identity,
    in_schema,
    listed,
    member,
    name_of,
)
from backup_lib.stores.postgres.content.tables import USER_SCHEMA

_CLONES_MARKED_SINCE = 15
_NOT_NULL_NAMED_SINCE = 18
_ENFORCED_SINCE = 18


def on_table(oid: str) -> str:
    """Joins and condition: the table ``c`` under that OID is one whose definition is dumped."""
    return (
        f"JOIN pg_class c ON c.oid = {oid} JOIN pg_namespace n ON n.oid = c.relnamespace {{join}}"
        f" WHERE {USER_SCHEMA} AND c.relpersistence <> 't' AND NOT {member('pg_class', 'c.oid')}"
    )


def of(catalogue: str, alias: str, table: str) -> str:
    """Like :func:`on_table`; ``o`` is what hangs on it."""
    return on_table(f"{alias}.{table}").format(join=identity(catalogue, alias))


def about_table(alias: str, table: str) -> str:
    """Like :func:`on_table`; ``o`` is the table."""
    return on_table(f"{alias}.{table}").format(join=identity("pg_class", "c"))


_INDEX_COLUMNS = listed(
    "SELECT "
    + facts("a.attnum", "a.attstattarget", "a.attoptions")
    + " AS t FROM pg_attribute a WHERE a.attrelid = x.indexrelid AND a.attstattarget >= 0"
)
_INDEX_MARKS = (
    "x.indisclustered",
    "x.indisreplident",
    "x.indisunique",
    _INDEX_COLUMNS,
)
DUMPED_INDEX = "x.indisready AND (x.indisvalid OR c.relkind = 'p')"
"""pg_dump's own rule; ``c`` is the table."""

_PRINTED_INDEX = "(x.indexprs IS NOT NULL OR x.indpred IS NOT NULL)"
_BEHIND_CONSTRAINT = (
    "EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid"
    " AND k.conrelid = x.indrelid AND k.contype IN ('p', 'u', 'x'))"
)


_COLUMN = (
    "(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.conrelid"
    " AND a.attnum = k.conkey[1])"
)


def queries(majors: Majors) -> Iterator[str]:
    """Rows for what hangs on tables."""
    yield from _indexes()
    yield from _constraints(majors)
    yield from _triggers(majors)
    yield from _rules_and_policies()
    yield from _statistics()


def _indexes() -> Iterator[str]:
    # an index's identity is that of its relation
    source = (
        "FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid "
        + on_table("x.indrelid").format(join=identity("pg_class", "ic"))
        + f" AND {DUMPED_INDEX} AND NOT {_BEHIND_CONSTRAINT}"
    )
    yield f"""
    SELECT 'index definition', o.identity, {
        facts(
            f"CASE WHEN NOT {_PRINTED_INDEX} THEN pg_get_indexdef(x.indexrelid) END", *_INDEX_MARKS
        )
    } {source} AND NOT ic.relispartition
    """
    yield f"""
    SELECT 'index expressions', o.identity, pg_get_indexdef(x.indexrelid)
    {source} AND NOT ic.relispartition AND {_PRINTED_INDEX}
    """
    yield f"""
    SELECT o.type || ' definition', o.identity, {
        facts(
            "'index'",
            "ic.relname",
            name_of("pg_class", "h.inhparent"),
            "(SELECT array_agg(r ORDER BY r) FROM unnest(ic.reloptions) r)::text",
            *_INDEX_MARKS,
        )
    }
    FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid
    JOIN pg_inherits h ON h.inhrelid = ic.oid {about_table("x", "indrelid")}
    AND {DUMPED_INDEX} AND ic.relispartition
    """


def _constraints(majors: Majors) -> Iterator[str]:
    source = (
        "FROM pg_constraint k LEFT JOIN pg_index x ON x.indexrelid = k.conindid"
        " AND k.contype IN ('p', 'u', 'x') " + of("pg_constraint", "k", "conrelid")
    )
    own = "k.conparentid = 0 AND k.coninhcount = 0"
    printed = f"(k.contype = 'c' OR k.contype = 'x' AND {_PRINTED_INDEX})"
    enforced = ["k.conenforced"] if majors.like >= _ENFORCED_SINCE else []
    yield f"""
    SELECT 'constraint definition', o.identity, {
        facts(
            "k.contype",
            "k.convalidated",
            "k.condeferrable",
            "k.condeferred",
            "k.connoinherit",
            f"CASE WHEN NOT {printed} THEN pg_get_constraintdef(k.oid) END",
            f"CASE WHEN NOT {_PRINTED_INDEX} THEN pg_get_indexdef(x.indexrelid) END",
            *_INDEX_MARKS,
            *enforced,
        )
    } {source} AND {own} AND k.contype IN ('c', 'f', 'p', 'u', 'x')
    """
    yield f"""
    SELECT 'constraint expressions', o.identity, pg_get_constraintdef(k.oid)
    {source} AND {own} AND {printed}
    """
    # foreign keys of partitions are among what came later
    yield f"""
    SELECT o.type || ' definition', o.identity, {
        facts("'constraint'", "k.conname", "k.contype", "k.convalidated", "k.conislocal")
    }
    FROM pg_constraint k {about_table("k", "conrelid")}
    AND NOT ({own}) AND k.contype IN ('c', 'p', 'u', 'x')
    """
    if majors.like >= _NOT_NULL_NAMED_SINCE:
        yield f"""
        SELECT o.type || ' definition', o.identity, {
            facts("'not null'", "k.conname", _COLUMN, "k.convalidated", "k.connoinherit")
        }
        FROM pg_constraint k {about_table("k", "conrelid")} AND k.contype = 'n'
        """


def _triggers(majors: Majors) -> Iterator[str]:
    source = (
        f"FROM pg_trigger t {of('pg_trigger', 't', 'tgrelid')}"
        " AND NOT t.tgisinternal AND t.tgparentid = 0"
    )
    yield f"""
    SELECT 'trigger definition', o.identity, {
        facts(
            "t.tgenabled",
            "t.tgtype",
            "t.tgfoid::regprocedure",
            "t.tgdeferrable",
            "t.tginitdeferred",
            "CASE WHEN t.tgqual IS NULL THEN pg_get_triggerdef(t.oid) END",
        )
    } {source}
    """
    yield f"""
    SELECT 'trigger expressions', o.identity, pg_get_triggerdef(t.oid)
    {source} AND t.tgqual IS NOT NULL
    """
    if majors.like >= _CLONES_MARKED_SINCE:
        yield f"""
        SELECT o.type || ' definition', o.identity, {facts("'trigger'", "t.tgname", "t.tgenabled")}
        FROM pg_trigger t {about_table("t", "tgrelid")}
        AND NOT t.tgisinternal AND t.tgparentid <> 0
        """


def _rules_and_policies() -> Iterator[str]:
    rules = f"FROM pg_rewrite w {of('pg_rewrite', 'w', 'ev_class')} AND w.rulename <> '_RETURN'"
    yield f"""
    SELECT 'rule definition', o.identity, {facts("w.ev_type", "w.ev_enabled", "w.is_instead")}
    {rules}
    """
    yield f"SELECT 'rule query', o.identity, pg_get_ruledef(w.oid) {rules}"
    # those on an extension's table are in a dump too: its script makes none
    policies = f"""
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace {identity("pg_policy", "p")} WHERE {USER_SCHEMA}
    """
    roles = listed(
        "SELECT CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END AS t"
        " FROM unnest(p.polroles) r"
    )
    yield f"""
    SELECT 'policy definition', o.identity, {facts("p.polcmd", "p.polpermissive", roles)}
    {policies}
    """
    yield f"""
    SELECT 'policy expressions', o.identity, {
        facts("pg_get_expr(p.polqual, p.polrelid)", "pg_get_expr(p.polwithcheck, p.polrelid)")
    } {policies}
    """


def _statistics() -> Iterator[str]:
    source = f"FROM pg_statistic_ext s {in_schema('pg_statistic_ext', 's', 'stxnamespace')}"
    yield f"""
    SELECT 'statistics definition', o.identity, {
        facts(
            "s.stxrelid::regclass",
            "nullif(s.stxstattarget, -1)",
            "CASE WHEN s.stxexprs IS NULL THEN pg_get_statisticsobjdef(s.oid) END",
        )
    } {source}
    """
    yield f"""
    SELECT 'statistics expressions', o.identity, pg_get_statisticsobjdef(s.oid)
    {source} AND s.stxexprs IS NOT NULL
    """
