"""Comments and security labels; those of columns and large objects stand with the whole."""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.environment import THIS_DATABASE
from backup_lib.stores.postgres.content.schema.scope import FIRST_USER_OID, Majors, facts

_LARGE_OBJECT = "d.classoid = 'pg_largeobject'::regclass"


def queries(_majors: Majors) -> Iterator[str]:
    """Rows for what is said about objects."""
    yield _said("pg_description", "comment", facts("{sub}", "d.description"))
    yield _said("pg_seclabel", "security label", facts("{sub}", "d.provider", "d.label"))
    for catalogue, kind, said in (
        ("pg_shdescription", "comment", "d.description"),
        ("pg_shseclabel", "security label", "ROW(d.provider, d.label)::text"),
    ):
        yield f"""
        SELECT 'database {kind}', '{THIS_DATABASE}', {said} FROM {catalogue} d
        JOIN pg_database b ON b.oid = d.objoid AND d.classoid = 'pg_database'::regclass
        WHERE b.datname = current_database()
        """


def _said(catalogue: str, kind: str, said: str) -> str:
    sub = (
        "CASE WHEN d.classoid = 'pg_class'::regclass AND d.objsubid <> 0 THEN (SELECT a.attname"
        " FROM pg_attribute a WHERE a.attrelid = d.objoid AND a.attnum = d.objsubid)"
        f" WHEN {_LARGE_OBJECT} THEN d.objoid::text END"
    )
    return f"""
    SELECT CASE WHEN {_LARGE_OBJECT} THEN 'large-objects' ELSE o.type END || ' {kind}',
      CASE WHEN {_LARGE_OBJECT} THEN 'large objects' ELSE o.identity END, {said.format(sub=sub)}
    FROM {catalogue} d CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, 0) o
    WHERE (d.objoid >= {FIRST_USER_OID} OR {_LARGE_OBJECT}
           OR d.classoid = 'pg_namespace'::regclass AND d.objoid = to_regnamespace('public'))
      AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = d.classoid AND m.objid = d.objoid
        AND m.objsubid = 0 AND m.refclassid = 'pg_extension'::regclass AND m.deptype = 'e')
      AND coalesce(o.schema, '') !~ '^pg_(toast|temp)'
    """
