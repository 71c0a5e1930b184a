"""What the method ``postgres/3`` has beyond ``postgres/2``: further facts about the same objects.

They are rows of their own, so that a fingerprint of the older method is compared without them.
"""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.attached import (
    DUMPED_INDEX,
    about_table,
    of,
    on_table,
)
from backup_lib.stores.postgres.content.schema.environment import THIS_DATABASE
from backup_lib.stores.postgres.content.schema.scope import (
    Majors,
    facts,
    identity,
    in_schema,
    name_of,
)

_ENFORCED_SINCE = 18
_PROVIDER_SINCE = 15
_LOCALE_COLUMN_SINCE = 17
_ICU_RULES_SINCE = 16

DATABASE_LOCALE = "database locale"


def queries(majors: Majors) -> Iterator[str]:
    """Rows for foreign keys of partitions, needed extensions, arguments of aggregates, locale."""
    yield _inherited_foreign_keys(majors)
    yield from _needed_extensions()
    yield f"""
    SELECT 'aggregate definition', o.identity, {
        facts("'arguments'", "p.proargnames", "p.proargmodes")
    }
    FROM pg_proc p {in_schema("pg_proc", "p", "pronamespace")} AND p.prokind = 'a'
      AND (p.proargnames IS NOT NULL OR p.proargmodes IS NOT NULL)
    """
    yield _locale(majors.server)


WHOLE_CONSTRAINT = """(WITH RECURSIVE up (oid, parent) AS (
      SELECT k.oid, k.conparentid
    UNION ALL
      SELECT a.oid, a.conparentid FROM up JOIN pg_constraint a ON a.oid = up.parent
    ) SELECT oid FROM up WHERE parent = 0)"""
"""An expression: the constraint of the outermost partitioned table that ``k`` follows from."""

OF_A_PARTITION = (
    "k.contype = 'f' AND k.conparentid <> 0"
    " AND k.conrelid <> (SELECT a.conrelid FROM pg_constraint a WHERE a.oid = k.conparentid)"
)
"""A condition: ``k`` is a foreign key that a partition has because the whole has it.

Where the table that is referred to has partitions, there are further ones of the same table.
"""


def _inherited_foreign_keys(majors: Majors) -> str:
    """A dump has only that of the whole: the restore makes the others, under names of its own.

    So their name is no fact, nor is what a partition's has and that of the whole has not.
    """
    states = ["convalidated", *(["conenforced"] if majors.like >= _ENFORCED_SINCE else [])]
    return f"""
    SELECT o.type || ' definition', o.identity, {
        facts(
            "'foreign key'",
            name_of("pg_constraint", "w.oid"),
            *(f"CASE WHEN w.{state} THEN k.{state} END" for state in states),
        )
    }
    FROM pg_constraint k JOIN pg_constraint w ON w.oid = {WHOLE_CONSTRAINT}
    {about_table("k", "conrelid")} AND {OF_A_PARTITION}
    """


def _needed_extensions() -> Iterator[str]:
    """``DEPENDS ON EXTENSION``, of what pg_dump writes it for."""
    yield _needed_by(
        "pg_proc p",
        "p.oid",
        "pg_proc",
        f"{in_schema('pg_proc', 'p', 'pronamespace')} AND p.prokind <> 'a'",
    )
    yield _needed_by(
        "pg_trigger t",
        "t.oid",
        "pg_trigger",
        f"{of('pg_trigger', 't', 'tgrelid')} AND NOT t.tgisinternal AND t.tgparentid = 0",
    )
    yield _needed_by(
        "pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid",
        "ic.oid",
        "pg_class",
        on_table("x.indrelid").format(join=identity("pg_class", "ic")) + f" AND {DUMPED_INDEX}",
    )
    yield _needed_by(
        "pg_class c",
        "c.oid",
        "pg_class",
        f"{in_schema('pg_class', 'c', 'relnamespace')} AND c.relkind = 'm'",
    )


def _needed_by(source: str, oid: str, catalogue: str, scope: str) -> str:
    return f"""
    SELECT o.type || ' definition', o.identity, {facts("'extension'", "e.extname")}
    FROM {source} JOIN pg_depend d ON d.classid = '{catalogue}'::regclass AND d.objid = {oid}
      AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'
    JOIN pg_extension e ON e.oid = d.refobjid {scope}
    """


def _locale(server: int) -> str:
    """Every server has one; what older ones cannot express they have in the plain way."""
    name = rules = "''"
    if server >= _PROVIDER_SINCE:
        name = f"d.{'datlocale' if server >= _LOCALE_COLUMN_SINCE else 'daticulocale'}"
    if server >= _ICU_RULES_SINCE:
        rules = "d.daticurules"
    return f"""
    SELECT '{DATABASE_LOCALE}', '{THIS_DATABASE}', {
        facts(
            "d.datlocprovider" if server >= _PROVIDER_SINCE else "'c'",
            "d.datcollate",
            "d.datctype",
            f"coalesce({name}, '')",
            f"coalesce({rules}, '')",
        )
    } FROM pg_database d WHERE d.datname = current_database()
    """
