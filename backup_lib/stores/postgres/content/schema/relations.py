"""Tables, views, materialized views, foreign tables and sequences."""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.scope import (
    Majors,
    facts,
    in_schema,
    listed,
    name_of,
    options,
)

_PERSISTENT_SEQUENCES_SINCE = 15
# Debian's 17.12 counts the versions of a column in one, which is the server's own and in no dump
_COLUMN_OPTIONS = options("a.attoptions", "r !~ '^pg_attver='")

# a restore puts the columns that a child inherits first
_ORDERED = (
    "NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid AND NOT c.relispartition)"
)
_STORES = "c.relkind IN ('r', 'p', 'm', 'f')"

_COLUMNS = listed(
    "SELECT "
    + facts(
        "a.attname",
        f"CASE WHEN {_ORDERED} THEN row_number() OVER (ORDER BY a.attnum) END",
        "format_type(a.atttypid, a.atttypmod)",
        "CASE WHEN a.attcollation <> t.typcollation THEN "
        + name_of("pg_collation", "a.attcollation")
        + " END",
        "a.attnotnull",
        "a.atthasdef",
        "a.attidentity",
        "a.attgenerated",
        f"CASE WHEN {_STORES} THEN a.attstorage END",
        f"CASE WHEN {_STORES} THEN a.attcompression END",
        f"CASE WHEN {_STORES} THEN nullif(a.attstattarget, -1) END",
        "a.attislocal",
        _COLUMN_OPTIONS,
        options("a.attfdwoptions"),
    )
    + " AS t FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    " WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
)

_PARENTS = (
    "(SELECT string_agg(format('%I.%I', pn.nspname, p.relname), ',' ORDER BY h.inhseqno)"
    " FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent"
    " JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = c.oid)"
)

_DEFAULTS = listed(
    "SELECT " + facts("a.attname", "pg_get_expr(d.adbin, d.adrelid)") + " AS t FROM pg_attrdef d"
    " JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum"
    " WHERE d.adrelid = c.oid"
)

_OWNED_BY = listed(
    "SELECT " + facts("d.deptype", "i.identity") + " AS t FROM pg_depend d"
    " CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) i"
    " WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0"
    " AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')"
)

_IN_SCHEMA = in_schema("pg_class", "c", "relnamespace")


def queries(majors: Majors) -> Iterator[str]:
    """One row for every relation, and one for what of it is printed from parsed expressions."""
    yield f"""
    SELECT o.type || ' definition', o.identity, {
        facts(
            "c.relkind",
            "c.relpersistence",
            "am.amname",
            "c.relrowsecurity",
            "c.relforcerowsecurity",
            "CASE WHEN c.relkind IN ('r', 'p', 'm') THEN c.relreplident END",
            "c.relispartition",
            "c.relispopulated",
            options("c.reloptions"),
            options("toast.reloptions"),
            "CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END",
            _PARENTS,
            "s.srvname",
            options("f.ftoptions"),
            _COLUMNS,
        )
    }
    FROM pg_class c LEFT JOIN pg_am am ON am.oid = c.relam
    LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid AND c.reltoastrelid <> 0
    LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid
    LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
    {_IN_SCHEMA} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    """
    yield f"""
    SELECT o.type || ' expressions', o.identity, {
        facts(
            _DEFAULTS,
            "CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END",
            "pg_get_expr(c.relpartbound, c.oid)",
        )
    }
    FROM pg_class c {_IN_SCHEMA} AND c.relkind IN ('r', 'p', 'v', 'f') AND c.relpersistence <> 't'
      AND (c.relkind = 'p' OR c.relispartition
           OR EXISTS (SELECT FROM pg_attrdef d WHERE d.adrelid = c.oid))
    """
    yield f"""
    SELECT o.type || ' query', o.identity, pg_get_viewdef(c.oid)
    FROM pg_class c {_IN_SCHEMA} AND c.relkind IN ('v', 'm') AND c.relpersistence <> 't'
    """
    persistence = "c.relpersistence" if majors.like >= _PERSISTENT_SEQUENCES_SINCE else "'p'"
    yield f"""
    SELECT 'sequence definition', o.identity, {
        facts(
            persistence,
            "format_type(q.seqtypid, NULL)",
            "q.seqstart",
            "q.seqincrement",
            "q.seqmin",
            "q.seqmax",
            "q.seqcache",
            "q.seqcycle",
            _OWNED_BY,
        )
    }
    FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid {_IN_SCHEMA}
      AND c.relpersistence <> 't'
    """
