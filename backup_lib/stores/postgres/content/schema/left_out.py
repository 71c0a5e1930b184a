"""What of the schema is not in a dump, or cannot be compared: named, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.attached import DUMPED_INDEX, of
from backup_lib.stores.postgres.content.schema.environment import (
    MAY_DUMP_SUBSCRIPTIONS,
    SUBSCRIPTIONS,
    USER_MAPPING,
)
from backup_lib.stores.postgres.content.schema.later import OF_A_PARTITION, WHOLE_CONSTRAINT
from backup_lib.stores.postgres.content.schema.scope import (
    BOOTSTRAP_ROLE,
    DATABASE_OWNER,
    FIRST_USER_OID,
    identity,
    in_schema,
    member,
)
from backup_lib.stores.postgres.content.tables import USER_SCHEMA

_SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")
_IN_A_SYSTEM_SCHEMA = (
    ("pg_proc", "pronamespace"),
    ("pg_type", "typnamespace"),
    ("pg_operator", "oprnamespace"),
    ("pg_collation", "collnamespace"),
)

_ADDED = (
    ("pg_class", "pg_index", "indexrelid", "indrelid"),
    ("pg_trigger", "pg_trigger", "oid", "tgrelid"),
    ("pg_constraint", "pg_constraint", "oid", "conrelid"),
    ("pg_rewrite", "pg_rewrite", "oid", "ev_class"),
)


def queries() -> Iterator[str]:
    """Rows of kind, name and reason."""
    yield f"""
    SELECT 'user mapping options', {USER_MAPPING},
      'they may hold a password, of which not even a digest is kept' FROM pg_user_mappings
    """
    yield f"""
    SELECT 'subscription', quote_ident(subname), CASE WHEN {MAY_DUMP_SUBSCRIPTIONS}
      THEN 'its address may hold a password, of which not even a digest is kept; a restored one is '
        'never enabled, and how it streams is compared from PostgreSQL 18 on'
      ELSE 'pg_dump leaves it out: it wants a superuser for that' END {SUBSCRIPTIONS}
    """
    yield f"""
    SELECT 'extension owner', o.identity,
      'belongs to ' || quote_ident(pg_get_userbyid(e.extowner))
      || ', which is in no dump: the restored one belongs to the role that restores'
    FROM pg_extension e {identity("pg_extension", "e")}
    WHERE e.oid >= {FIRST_USER_OID} AND e.extname <> 'plpgsql'
      AND e.extowner NOT IN ({BOOTSTRAP_ROLE}, {DATABASE_OWNER})
    """
    yield f"""
    SELECT 'invalid index', o.identity, 'pg_dump leaves it out: build it again or drop it'
    FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class ic ON ic.oid = x.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace {identity("pg_class", "ic")}
    WHERE {USER_SCHEMA} AND NOT ({DUMPED_INDEX}) AND c.relpersistence <> 't'
    """
    yield f"""
    SELECT DISTINCT 'disabled foreign key', o.identity,
      'the trigger behind it is switched off, which is not in a dump: the restored one is on'
    FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint
    JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace {identity("pg_constraint", "k")}
    WHERE {USER_SCHEMA} AND t.tgisinternal AND t.tgenabled <> 'O' AND k.contype = 'f'
    """
    yield f"""
    SELECT 'foreign key of a partition', o.identity,
      'is validated, and that of the whole is not: a dump has that of the whole only'
    FROM pg_constraint k {of("pg_constraint", "k", "conrelid")}
      AND {OF_A_PARTITION} AND k.convalidated
      AND NOT (SELECT w.convalidated FROM pg_constraint w WHERE w.oid = {WHOLE_CONSTRAINT})
    """
    yield """
    SELECT DISTINCT 'needed extension', o.identity,
      'pg_dump writes no DEPENDS ON EXTENSION for aggregates and triggers of partitions'
    FROM pg_depend d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) o
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'
      AND (EXISTS (SELECT FROM pg_proc p WHERE d.classid = 'pg_proc'::regclass
             AND p.oid = d.objid AND p.prokind = 'a')
        OR EXISTS (SELECT FROM pg_trigger t WHERE d.classid = 'pg_trigger'::regclass
             AND t.oid = d.objid AND t.tgparentid <> 0))
    """
    yield f"""
    SELECT 'order of columns', o.identity, 'a restore puts the inherited ones first'
    FROM pg_class c {in_schema("pg_class", "c", "relnamespace")}
      AND c.relkind IN ('r', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid)
    """
    yield f"""
    SELECT 'collation version', o.identity, 'it is that of the library on the server, not of a dump'
    FROM pg_collation c {in_schema("pg_collation", "c", "collnamespace")}
      AND c.collversion IS NOT NULL
    """
    schemas = ", ".join(f"'{name}'" for name in _SYSTEM_SCHEMAS)
    for catalogue, namespace in _IN_A_SYSTEM_SCHEMA:
        rows = " AND c.typrelid = 0 AND c.typelem = 0" if catalogue == "pg_type" else ""
        yield f"""
        SELECT o.type, o.identity, 'lies in a system schema, which pg_dump leaves out'
        FROM {catalogue} c JOIN pg_namespace n ON n.oid = c.{namespace} {identity(catalogue, "c")}
        WHERE n.nspname IN ({schemas}) AND c.oid >= {FIRST_USER_OID}
          AND NOT {member(catalogue, "c.oid")}{rows}
        """
    for catalogue, source, key, table in _ADDED:
        # made after all of the extension's objects, and not along with the table
        yield f"""
        SELECT o.type, o.identity, 'pg_dump leaves out what was added to a table of an extension'
        FROM {source} x JOIN pg_class c ON c.oid = x.{table}
        JOIN pg_depend m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
          AND m.objsubid = 0 AND m.refclassid = 'pg_extension'::regclass AND m.deptype = 'e'
        JOIN pg_depend k ON k.classid = '{catalogue}'::regclass AND k.objid = x.{key}
          AND k.refclassid = m.classid AND k.refobjid = m.objid AND k.xmin <> m.xmin
        {identity(catalogue, "x", key)}
        WHERE c.relpersistence <> 't' AND x.{key} > (SELECT max(e.objid) FROM pg_depend e
          WHERE e.deptype = 'e' AND e.refclassid = m.refclassid AND e.refobjid = m.refobjid)
        """
