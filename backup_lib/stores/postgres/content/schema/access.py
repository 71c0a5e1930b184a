"""Owners and grants, as far as they are not what a new object of the database's owner has.

The catalogue has many spellings for the same grants: none at all, or the default ones written out,
in any order, and from PostgreSQL 17 on with one right more for the owner of a table. So what is
compared is the difference to the default, right by right. The owner is not called by name in it;
whose the object is, is a fact of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backup_lib.stores.postgres.content.schema.datatypes import OWN_TYPE
from backup_lib.stores.postgres.content.schema.environment import (
    MAY_DUMP_SUBSCRIPTIONS,
    SUBSCRIPTIONS,
    THIS_DATABASE,
)
from backup_lib.stores.postgres.content.schema.scope import (
    DATABASE_OWNER,
    FIRST_USER_OID,
    Majors,
    facts,
    listed,
)

_MAINTAIN_SINCE = 17


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """A catalogue whose objects have owners.

    Attributes:
        name: of the catalogue; its alias is ``t``.
        prefix: of its columns ``…owner``, ``…acl`` and ``…namespace``.
        letter: what acldefault() calls its objects; empty where nothing is granted on them.
        schema: an expression for the schema that the object lies in.
        only: a condition.
    """

    name: str
    prefix: str
    letter: str = ""
    schema: str = ""
    only: str = "true"

    def rows(self) -> str:
        """A query for ``class``, ``oid``, ``schema``, ``owner`` and ``acl``."""
        schema = self.schema or f"t.{self.prefix}namespace"
        acl = f"t.{self.prefix}acl" if self.letter else "NULL::aclitem[]"
        return (
            f"SELECT '{self.name}'::regclass AS class, t.oid, {schema} AS schema,"
            f" t.{self.prefix}owner AS owner, {acl} AS acl FROM {self.name} t WHERE {self.only}"
        )


_NOWHERE = "0::oid"
_CATALOGUES = (
    _Catalogue("pg_class", "rel", "r", only="relkind IN ('r', 'p', 'v', 'm', 'f')"),
    _Catalogue("pg_class", "rel", "s", only="relkind = 'S'"),
    _Catalogue("pg_namespace", "nsp", "n", schema="t.oid"),
    _Catalogue("pg_proc", "pro", "f"),
    _Catalogue("pg_type", "typ", "T", only=OWN_TYPE),
    _Catalogue("pg_language", "lan", "l", schema=_NOWHERE),
    _Catalogue("pg_foreign_data_wrapper", "fdw", "F", schema=_NOWHERE),
    _Catalogue("pg_foreign_server", "srv", "S", schema=_NOWHERE),
    _Catalogue("pg_operator", "opr", only="oprcode <> 0"),
    _Catalogue("pg_opclass", "opc"),
    _Catalogue("pg_opfamily", "opf"),
    _Catalogue("pg_collation", "coll"),
    _Catalogue("pg_conversion", "con"),
    _Catalogue("pg_ts_dict", "dict"),
    _Catalogue("pg_ts_config", "cfg"),
    _Catalogue("pg_statistic_ext", "stx"),
    _Catalogue("pg_event_trigger", "evt", schema=_NOWHERE),
    _Catalogue("pg_publication", "pub", schema=_NOWHERE),
)
_NEVER_DUMPED = "^(pg_(toast|temp)|information_schema$)"
_SYSTEM = (
    f"t.oid < {FIRST_USER_OID} AND NOT (t.class = 'pg_namespace'::regclass AND t.schema = "
    "coalesce(to_regnamespace('public'), 0))"
)


def queries(majors: Majors) -> Iterator[str]:
    """Rows for owners and grants."""
    yield from _objects(majors)
    yield from _columns(majors)
    yield from _large_objects()
    yield from _defaults(majors)
    owner = f"CASE WHEN t.owner <> {DATABASE_OWNER} THEN pg_get_userbyid(t.owner) END"
    yield f"""
    SELECT 'subscription access', quote_ident(t.subname), {facts(owner)}
    FROM (SELECT subname, subowner AS owner {SUBSCRIPTIONS} AND {MAY_DUMP_SUBSCRIPTIONS}) t
    WHERE t.owner <> {DATABASE_OWNER}
    """
    of_database = _rights("d.datacl", "acldefault('d', d.datdba)", "d.datdba", majors)
    yield f"""
    SELECT 'database access', '{THIS_DATABASE}', {
        facts("pg_get_userbyid(d.datdba)", of_database)
    } FROM pg_database d WHERE d.datname = current_database()
    """


def _rights(acl: str, usual: str, owner: str, majors: Majors) -> str:
    """An expression: the rights beyond the usual ones, and those of the usual ones that lack."""
    known = " WHERE e.privilege_type <> 'MAINTAIN'" if majors.like < _MAINTAIN_SINCE else ""

    def each(rights: str) -> str:
        return (
            f"SELECT CASE WHEN e.grantor <> {owner} THEN pg_get_userbyid(e.grantor) END,"
            f" CASE WHEN e.grantee = 0 THEN 'PUBLIC' WHEN e.grantee <> {owner}"
            " THEN quote_ident(pg_get_userbyid(e.grantee)) END, e.privilege_type, e.is_grantable"
            f" FROM aclexplode({rights}) e{known}"
        )

    has, usually = each(f"coalesce({acl}, {usual})"), each(usual)
    return listed(
        f"SELECT ROW('granted', g)::text AS t FROM ({has} EXCEPT {usually}) g"
        f" UNION ALL SELECT ROW('revoked', g)::text FROM ({usually} EXCEPT {has}) g"
    )


def _objects(majors: Majors) -> Iterator[str]:
    """Of an object of the system or of an extension a dump has what was granted since."""
    other_owner = f"t.owner <> {DATABASE_OWNER}"
    for catalogue in _CATALOGUES:
        usual = "NULL::aclitem[]"
        if catalogue.letter:
            usual = (
                "CASE WHEN t.initial IS NOT NULL AND NOT t.own THEN t.initial"
                f" ELSE acldefault('{catalogue.letter}', t.owner) END"
            )
        known = f"""
        SELECT t.*, i.initprivs AS initial, m.objid IS NULL AND NOT ({_SYSTEM}) AS own
        FROM ({catalogue.rows()}) t LEFT JOIN pg_namespace n ON n.oid = t.schema
        LEFT JOIN pg_init_privs i
          ON i.classoid = t.class AND i.objoid = t.oid AND i.objsubid = 0
        LEFT JOIN pg_depend m ON m.classid = t.class AND m.objid = t.oid AND m.objsubid = 0
          AND m.refclassid = 'pg_extension'::regclass AND m.deptype = 'e'
        WHERE coalesce(n.nspname, '') !~ '{_NEVER_DUMPED}'
          AND (n.nspname IS DISTINCT FROM 'pg_catalog' OR m.objid IS NOT NULL OR {_SYSTEM})
        """
        told = f"""
        SELECT t.class, t.oid,
          CASE WHEN t.own AND {other_owner} THEN pg_get_userbyid(t.owner) END AS owner,
          {_rights("t.acl", usual, "t.owner", majors)} AS rights
        FROM ({known}) t
        WHERE t.acl IS NOT NULL OR t.initial IS NOT NULL OR t.own AND {other_owner}
        """
        yield f"""
        SELECT o.type || ' access', o.identity, {facts("t.owner", "t.rights")}
        FROM ({told}) t CROSS JOIN LATERAL pg_identify_object(t.class, t.oid, 0) o
        WHERE t.owner IS NOT NULL OR t.rights IS NOT NULL
        """


def _columns(majors: Majors) -> Iterator[str]:
    rights = _rights("a.attacl", "i.initprivs", "c.relowner", majors)
    yield f"""
    SELECT o.type || ' access', o.identity, {facts("t.attname", "t.rights")} FROM (
      SELECT c.oid, a.attname, {rights} AS rights
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = c.oid
        AND i.objsubid = a.attnum
      WHERE NOT a.attisdropped AND n.nspname !~ '{_NEVER_DUMPED}'
        AND (a.attacl IS NOT NULL OR i.initprivs IS NOT NULL)
    ) t CROSS JOIN LATERAL pg_identify_object('pg_class'::regclass, t.oid, 0) o
    WHERE t.rights IS NOT NULL
    """


def _large_objects() -> Iterator[str]:
    """There may be millions: those of one owner with one set of rights are counted and summed."""
    yield f"""
    SELECT 'large-objects access', 'large objects', {
        facts(
            f"CASE WHEN l.lomowner <> {DATABASE_OWNER} THEN pg_get_userbyid(l.lomowner) END",
            listed(
                "SELECT "
                + facts(
                    "CASE WHEN e.grantor <> l.lomowner THEN pg_get_userbyid(e.grantor) END",
                    "CASE WHEN e.grantee = 0 THEN 'PUBLIC' WHEN e.grantee <> l.lomowner"
                    " THEN quote_ident(pg_get_userbyid(e.grantee)) END",
                    "e.privilege_type",
                    "e.is_grantable",
                )
                + " AS t FROM aclexplode(coalesce(l.acl, acldefault('L', l.lomowner))) e"
            ),
            "l.number",
            "l.hash",
        )
    }
    FROM (SELECT lomowner, lomacl::text::aclitem[] AS acl, count(*) AS number,
            sum(hashint8extended(oid::int8, 1)) AS hash
          FROM pg_largeobject_metadata GROUP BY lomowner, lomacl::text) l
    """


def _defaults(majors: Majors) -> Iterator[str]:
    letter = "CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END"
    usual = f'CASE WHEN d.defaclnamespace = 0 THEN acldefault(({letter})::"char", d.defaclrole) END'
    yield f"""
    SELECT 'default access', t.name, t.rights FROM (
      SELECT format('of role %I%s for %s', pg_get_userbyid(d.defaclrole),
          CASE WHEN d.defaclnamespace <> 0 THEN ' in ' || d.defaclnamespace::regnamespace::text END,
          CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
            WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas'
            WHEN 'L' THEN 'large objects' ELSE d.defaclobjtype::text END) AS name,
        {_rights("d.defaclacl", usual, "d.defaclrole", majors)} AS rights
      FROM pg_default_acl d) t
    WHERE t.rights IS NOT NULL
    """
