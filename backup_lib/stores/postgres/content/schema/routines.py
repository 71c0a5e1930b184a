"""Functions, procedures, aggregates, and what is made of them: casts, event triggers and more."""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.scope import (
    Majors,
    facts,
    in_schema,
    listed,
    name_of,
    outside_schemas,
)

_IN_SCHEMA = in_schema("pg_proc", "p", "pronamespace")


def queries(_majors: Majors) -> Iterator[str]:
    """Rows for routines and what is made of them."""
    yield from _functions()
    yield f"""
    SELECT 'aggregate definition', o.identity, {
        facts(
            "g.aggkind",
            "g.aggnumdirectargs",
            *(
                f"g.{function}::oid::regprocedure"
                for function in (
                    "aggtransfn",
                    "aggfinalfn",
                    "aggcombinefn",
                    "aggserialfn",
                    "aggdeserialfn",
                    "aggmtransfn",
                    "aggminvtransfn",
                    "aggmfinalfn",
                )
            ),
            "g.aggfinalextra",
            "g.aggmfinalextra",
            "g.aggfinalmodify",
            "g.aggmfinalmodify",
            "g.aggsortop::regoperator",
            "format_type(g.aggtranstype, NULL)",
            "g.aggtransspace",
            "CASE WHEN g.aggmtranstype <> 0 THEN format_type(g.aggmtranstype, NULL) END",
            "g.aggmtransspace",
            "g.agginitval",
            "g.aggminitval",
            "p.proparallel",
            "pg_get_function_result(p.oid)",
        )
    }
    FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid {_IN_SCHEMA}
    """
    yield f"""
    SELECT 'language definition', o.identity, {
        facts(
            "l.lanpltrusted",
            "l.lanplcallfoid::regprocedure",
            "l.laninline::regprocedure",
            "l.lanvalidator::regprocedure",
        )
    }
    FROM pg_language l {outside_schemas("pg_language", "l")}
    """
    yield f"""
    SELECT 'cast definition', o.identity, {
        facts("k.castfunc::regprocedure", "k.castcontext", "k.castmethod")
    }
    FROM pg_cast k {outside_schemas("pg_cast", "k")}
    """
    yield f"""
    SELECT 'transform definition', o.identity, {
        facts("t.trffromsql::oid::regprocedure", "t.trftosql::oid::regprocedure")
    }
    FROM pg_transform t {outside_schemas("pg_transform", "t")}
    """
    yield f"""
    SELECT 'event trigger definition', o.identity, {
        facts("e.evtevent", "e.evtfoid::regprocedure", "e.evtenabled", "e.evttags")
    }
    FROM pg_event_trigger e {outside_schemas("pg_event_trigger", "e")}
    """
    yield f"""
    SELECT 'access method definition', o.identity, {
        facts("m.amtype", "m.amhandler::oid::regprocedure")
    }
    FROM pg_am m {outside_schemas("pg_am", "m")}
    """


def _functions() -> Iterator[str]:
    source = f"FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang {_IN_SCHEMA}"
    settings = listed("SELECT t FROM unnest(p.proconfig) t")
    transforms = listed("SELECT format_type(t, NULL) AS t FROM unnest(p.protrftypes) t")
    yield f"""
    SELECT o.type || ' definition', o.identity, {
        facts(
            "p.prokind",
            "l.lanname",
            "p.prosecdef",
            "p.proleakproof",
            "p.proisstrict",
            "p.proretset",
            "p.provolatile",
            "p.proparallel",
            "p.procost",
            "p.prorows",
            name_of("pg_proc", "p.prosupport::oid"),
            "pg_get_function_result(p.oid)",
            "pg_get_function_identity_arguments(p.oid)",
            "p.proargnames",
            "p.pronargdefaults",
            "p.prosrc",
            "p.probin",
            settings,
            transforms,
        )
    } {source} AND p.prokind <> 'a'
    """
    yield f"""
    SELECT o.type || ' expressions', o.identity, {
        facts("pg_get_function_arguments(p.oid)", "pg_get_function_sqlbody(p.oid)")
    } {source} AND (p.proargdefaults IS NOT NULL OR p.prosqlbody IS NOT NULL)
    """
