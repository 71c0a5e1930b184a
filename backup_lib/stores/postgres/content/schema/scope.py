"""Which objects a dump holds: those of the database's users, not of the system or an extension."""

from __future__ import annotations

from dataclasses import dataclass

from backup_lib.stores.postgres.content.tables import USER_SCHEMA

FIRST_USER_OID = 16384
"""What initdb made has smaller object ids (FirstNormalObjectId)."""

BOOTSTRAP_ROLE = 10
"""The superuser that initdb made (BOOTSTRAP_SUPERUSERID), whatever it is called."""

DATABASE_OWNER = "(SELECT datdba FROM pg_database WHERE datname = current_database())"


@dataclass(frozen=True, slots=True)
class Majors:
    """Two major versions.

    Attributes:
        server: that is asked: which catalogues and columns it has.
        like: whose catalogue is to be compared with; never newer than ``server``. What only newer
            ones can express is left out.
    """

    server: int
    like: int


def member(catalogue: str, oid: str) -> str:
    """A condition: the object belongs to an extension, whose script makes it anew."""
    return (
        f"EXISTS (SELECT FROM pg_depend made WHERE made.classid = '{catalogue}'::regclass"
        f" AND made.objid = {oid} AND made.objsubid = 0"
        " AND made.refclassid = 'pg_extension'::regclass AND made.deptype = 'e')"
    )


def in_schema(catalogue: str, alias: str, namespace: str) -> str:
    """The joins and the condition for objects that lie in a schema; the schema is ``n``."""
    return (
        f"JOIN pg_namespace n ON n.oid = {alias}.{namespace} {identity(catalogue, alias)}"
        f" WHERE {USER_SCHEMA} AND NOT {member(catalogue, f'{alias}.oid')}"
    )


def outside_schemas(catalogue: str, alias: str) -> str:
    """The join and the condition for objects that lie in none."""
    return (
        f"{identity(catalogue, alias)} WHERE {alias}.oid >= {FIRST_USER_OID}"
        f" AND NOT {member(catalogue, f'{alias}.oid')}"
    )


def identity(catalogue: str, alias: str, column: str = "oid") -> str:
    """A join that gives ``o.type`` and ``o.identity``: what the object is and is called."""
    return f"CROSS JOIN LATERAL pg_identify_object('{catalogue}'::regclass, {alias}.{column}, 0) o"


def name_of(catalogue: str, oid: str) -> str:
    """An expression: the name of another object; empty for none."""
    return (
        f"coalesce((SELECT i.identity FROM pg_identify_object('{catalogue}'::regclass,"
        f" {oid}, 0) i WHERE {oid} <> 0), '')"
    )


def listed(query: str) -> str:
    """An expression: all texts ``t`` of a subquery, in the order of their bytes."""
    return f"""(SELECT string_agg(l.t, E'\\n' ORDER BY l.t COLLATE "C") FROM ({query}) l)"""


def options(column: str, condition: str = "true") -> str:
    """An expression: the options ``r`` of a column in a fixed order; NULL for none."""
    return f"(SELECT array_agg(r ORDER BY r) FROM unnest({column}) r WHERE {condition})::text"


def facts(*expressions: str) -> str:
    """An expression: the text of a row of those."""
    return f"ROW({', '.join(expressions)})::text"
