"""Types, collations, conversions, operators and their classes, text search."""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.scope import (
    Majors,
    facts,
    in_schema,
    listed,
    name_of,
)

_NOT_NULL_NAMED_SINCE = 18
_LOCALE_NAMES = {14: "NULL::text", 15: "c.colliculocale", 17: "c.colllocale"}
_ICU_RULES_SINCE = 16

OWN_TYPE = (
    "(t.typrelid = 0 OR EXISTS (SELECT FROM pg_class r WHERE r.oid = t.typrelid"
    " AND r.relkind = 'c')) AND t.typtype <> 'm'"
    " AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)"
)
"""A condition: not made along with a table, a range or another type."""

_IN_SCHEMA = f"{in_schema('pg_type', 't', 'typnamespace')} AND {OWN_TYPE}"


def queries(majors: Majors) -> Iterator[str]:
    """Rows for types and what computes with them."""
    yield from _types()
    yield from _domains(majors)
    yield from _collations(majors)
    yield from _operators()
    yield from _text_search()


def _types() -> Iterator[str]:
    functions = (
        f"t.typ{name}::oid::regprocedure"
        for name in (
            *("input", "output", "receive", "send"),
            *("modin", "modout", "analyze", "subscript"),
        )
    )
    labels = (
        "(SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e"
        " WHERE e.enumtypid = t.oid)"
    )
    attributes = (
        "(SELECT string_agg("
        + facts(
            "a.attname",
            "format_type(a.atttypid, a.atttypmod)",
            "CASE WHEN a.attcollation <> y.typcollation THEN "
            + name_of("pg_collation", "a.attcollation")
            + " END",
        )
        + ", E'\\n' ORDER BY a.attnum) FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid"
        " WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)"
    )
    yield f"""
    SELECT 'type definition', o.identity, {
        facts(
            "t.typtype",
            "t.typisdefined",
            labels,
            attributes,
            "format_type(r.rngsubtype, NULL)",
            "format_type(r.rngmultitypid, NULL)",
            name_of("pg_collation", "r.rngcollation"),
            name_of("pg_opclass", "r.rngsubopc"),
            "r.rngcanonical::oid::regprocedure",
            "r.rngsubdiff::oid::regprocedure",
        )
    }
    FROM pg_type t LEFT JOIN pg_range r ON r.rngtypid = t.oid {_IN_SCHEMA} AND t.typtype <> 'd'
    """
    yield f"""
    SELECT 'type definition', o.identity, {
        facts(
            *functions,
            "t.typlen",
            "t.typbyval",
            "t.typalign",
            "t.typstorage",
            "t.typcategory",
            "t.typispreferred",
            "t.typdelim",
            "CASE WHEN t.typelem <> 0 THEN format_type(t.typelem, NULL) END",
            "t.typdefault",
            "t.typcollation <> 0",
        )
    }
    FROM pg_type t {_IN_SCHEMA} AND t.typtype = 'b'
    """


def _domains(majors: Majors) -> Iterator[str]:
    source = f"FROM pg_type t {_IN_SCHEMA} AND t.typtype = 'd'"
    kinds = "'c', 'n'" if majors.like >= _NOT_NULL_NAMED_SINCE else "'c'"
    constraints = (
        "SELECT {} AS t FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype IN ({})"
    )
    yield f"""
    SELECT 'domain definition', o.identity, {
        facts(
            "format_type(t.typbasetype, t.typtypmod)",
            "t.typnotnull",
            "t.typdefault IS NOT NULL",
            name_of("pg_collation", "t.typcollation"),
            listed(constraints.format(facts("k.contype", "k.conname", "k.convalidated"), kinds)),
        )
    } {source}
    """
    printed = facts("k.conname", "pg_get_constraintdef(k.oid)")
    yield f"""
    SELECT 'domain expressions', o.identity, {
        facts(
            "pg_get_expr(t.typdefaultbin, 0)",
            "t.typdefault",
            listed(constraints.format(printed, "'c'")),
        )
    } {source} AND (t.typdefault IS NOT NULL OR EXISTS (
        SELECT FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
    """


def _collations(majors: Majors) -> Iterator[str]:
    # an ICU locale lay in collcollate before it had a column of its own
    locale = _LOCALE_NAMES[max(major for major in _LOCALE_NAMES if major <= majors.server)]
    rules = "c.collicurules" if majors.server >= _ICU_RULES_SINCE else "NULL::text"
    yield f"""
    SELECT 'collation definition', o.identity, {
        facts(
            "c.collprovider",
            "c.collisdeterministic",
            "c.collencoding",
            f"coalesce({locale}, c.collcollate)",
            f"coalesce({locale}, c.collctype)",
            rules,
        )
    }
    FROM pg_collation c {in_schema("pg_collation", "c", "collnamespace")}
    """
    yield f"""
    SELECT 'conversion definition', o.identity, {
        facts(
            "pg_encoding_to_char(c.conforencoding)",
            "pg_encoding_to_char(c.contoencoding)",
            "c.conproc::oid::regprocedure",
            "c.condefault",
        )
    }
    FROM pg_conversion c {in_schema("pg_conversion", "c", "connamespace")}
    """


def _operators() -> Iterator[str]:
    yield f"""
    SELECT 'operator definition', o.identity, {
        facts(
            "format_type(p.oprresult, NULL)",
            "p.oprcode::oid::regprocedure",
            name_of("pg_operator", "p.oprcom"),
            name_of("pg_operator", "p.oprnegate"),
            "p.oprrest::oid::regprocedure",
            "p.oprjoin::oid::regprocedure",
            "p.oprcanmerge",
            "p.oprcanhash",
        )
    }
    FROM pg_operator p {in_schema("pg_operator", "p", "oprnamespace")} AND p.oprcode <> 0
    """
    yield f"""
    SELECT 'operator class definition', o.identity, {
        facts(
            name_of("pg_opfamily", "p.opcfamily"),
            "format_type(p.opcintype, NULL)",
            "p.opcdefault",
            "CASE WHEN p.opckeytype <> 0 THEN format_type(p.opckeytype, NULL) END",
            _members("pg_opclass", "p.oid"),
        )
    }
    FROM pg_opclass p {in_schema("pg_opclass", "p", "opcnamespace")}
    """
    yield f"""
    SELECT 'operator family definition', o.identity, {facts(_members("pg_opfamily", "p.oid"))}
    FROM pg_opfamily p {in_schema("pg_opfamily", "p", "opfnamespace")}
    """


def _members(catalogue: str, oid: str) -> str:
    """Operators and functions that belong to a class, or loosely to a family, as pg_dump asks."""
    depends = (
        "FROM pg_depend d JOIN {0} m ON m.oid = d.objid WHERE d.classid = '{0}'::regclass"
        f" AND d.refclassid = '{catalogue}'::regclass AND d.refobjid = {oid}"
    )
    operators = facts(
        "m.amopstrategy",
        "format_type(m.amoplefttype, NULL)",
        "format_type(m.amoprighttype, NULL)",
        name_of("pg_operator", "m.amopopr"),
        "m.amoppurpose",
        name_of("pg_opfamily", "m.amopsortfamily"),
    )
    functions = facts(
        "m.amprocnum",
        "format_type(m.amproclefttype, NULL)",
        "format_type(m.amprocrighttype, NULL)",
        "m.amproc::oid::regprocedure",
    )
    return listed(
        f"SELECT {operators} AS t {depends.format('pg_amop')}"
        f" UNION ALL SELECT {functions} {depends.format('pg_amproc')}"
    )


def _text_search() -> Iterator[str]:
    yield f"""
    SELECT 'text search parser definition', o.identity, {
        facts(
            *(
                f"p.{name}::oid::regprocedure"
                for name in ("prsstart", "prstoken", "prsend", "prsheadline", "prslextype")
            )
        )
    }
    FROM pg_ts_parser p {in_schema("pg_ts_parser", "p", "prsnamespace")}
    """
    yield f"""
    SELECT 'text search template definition', o.identity, {
        facts("t.tmplinit::oid::regprocedure", "t.tmpllexize::oid::regprocedure")
    }
    FROM pg_ts_template t {in_schema("pg_ts_template", "t", "tmplnamespace")}
    """
    yield f"""
    SELECT 'text search dictionary definition', o.identity, {
        facts(name_of("pg_ts_template", "d.dicttemplate"), "d.dictinitoption")
    }
    FROM pg_ts_dict d {in_schema("pg_ts_dict", "d", "dictnamespace")}
    """
    mappings = listed(
        "SELECT "
        + facts("m.maptokentype", "m.mapseqno", name_of("pg_ts_dict", "m.mapdict"))
        + " AS t FROM pg_ts_config_map m WHERE m.mapcfg = c.oid"
    )
    yield f"""
    SELECT 'text search configuration definition', o.identity, {
        facts(name_of("pg_ts_parser", "c.cfgparser"), mappings)
    }
    FROM pg_ts_config c {in_schema("pg_ts_config", "c", "cfgnamespace")}
    """
