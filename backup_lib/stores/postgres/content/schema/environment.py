"""Schemas, extensions, foreign data, replication, and the settings of the database itself.

Options of user mappings and the address of a subscription hold passwords. Not even a digest of
them is taken: that of a short password gives it away to whoever can guess.
"""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.stores.postgres.content.schema.scope import (
    FIRST_USER_OID,
    Majors,
    facts,
    identity,
    listed,
    member,
    options,
    outside_schemas,
)
from backup_lib.stores.postgres.content.tables import USER_SCHEMA

_ROW_FILTERS_SINCE = 15
_GENERATED_PUBLISHED_SINCE = 18
_SUBSCRIPTION_FACTS = {
    14: ("subbinary", "subsynccommit"),
    15: ("subtwophasestate <> 'd'", "subdisableonerr"),
    16: ("subpasswordrequired", "subrunasowner", "suborigin"),
    17: ("subfailover",),
    # its default is another one from 18 on, and a dump of older servers does not write the default
    18: ("substream",),
}

THIS_DATABASE = "this database"


def queries(majors: Majors) -> Iterator[str]:
    """Rows for what lies in no schema."""
    yield f"""
    SELECT 'schema definition', o.identity, '' FROM pg_namespace n {identity("pg_namespace", "n")}
    WHERE {USER_SCHEMA} AND NOT {member("pg_namespace", "n.oid")}
    """
    extensions = (
        f"FROM pg_extension e {identity('pg_extension', 'e')}"
        f" WHERE e.oid >= {FIRST_USER_OID} AND e.extname <> 'plpgsql'"
    )
    for kind, fact in (("definition", "e.extnamespace::regnamespace"), ("version", "e.extversion")):
        yield f"SELECT 'extension {kind}', o.identity, {fact}::text {extensions}"
    yield from _foreign_data()
    yield from _publications(majors)
    yield from _subscriptions(majors)
    yield f"""
    SELECT 'database settings', '{THIS_DATABASE}', {
        facts("pg_encoding_to_char(d.encoding)", "d.datconnlimit", "d.datistemplate")
    } FROM pg_database d WHERE d.datname = current_database()
    """
    yield f"""
    SELECT 'database settings', '{THIS_DATABASE}', {
        facts(
            "CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END",
            listed("SELECT t FROM unnest(s.setconfig) t"),
        )
    }
    FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE d.datname = current_database()
    """


def _foreign_data() -> Iterator[str]:
    yield f"""
    SELECT 'foreign-data wrapper definition', o.identity, {
        facts(
            "w.fdwhandler::regprocedure",
            "w.fdwvalidator::regprocedure",
            options("w.fdwoptions"),
        )
    }
    FROM pg_foreign_data_wrapper w {outside_schemas("pg_foreign_data_wrapper", "w")}
    """
    yield f"""
    SELECT 'server definition', o.identity, {
        facts("w.fdwname", "s.srvtype", "s.srvversion", options("s.srvoptions"))
    }
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
    {outside_schemas("pg_foreign_server", "s")}
    """
    yield f"SELECT 'user mapping definition', {USER_MAPPING}, '' FROM pg_user_mappings"


USER_MAPPING = "quote_ident(usename) || ' on server ' || quote_ident(srvname)"
"""Its name, in the view pg_user_mappings, which everybody may read."""


def _publications(majors: Majors) -> Iterator[str]:
    generated = ["p.pubgencols"] if majors.like >= _GENERATED_PUBLISHED_SINCE else []
    scope = outside_schemas("pg_publication", "p")
    yield f"""
    SELECT 'publication definition', o.identity, {
        facts(
            "p.puballtables",
            "p.pubinsert",
            "p.pubupdate",
            "p.pubdelete",
            "p.pubtruncate",
            "p.pubviaroot",
            *generated,
        )
    }
    FROM pg_publication p {scope}
    """
    filtered = majors.like >= _ROW_FILTERS_SINCE
    columns = (
        "(SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a"
        " WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[]))"
    )
    yield f"""
    SELECT 'publication definition', o.identity, {
        facts("r.prrelid::regclass", *([columns] if filtered else []))
    }
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid {scope}
    """
    if not filtered:
        return
    yield f"""
    SELECT 'publication expressions', o.identity, {
        facts("r.prrelid::regclass", "pg_get_expr(r.prqual, r.prrelid)")
    }
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid {scope}
      AND r.prqual IS NOT NULL
    """
    yield f"""
    SELECT 'publication definition', o.identity, {facts("'schema'", "r.pnnspid::regnamespace")}
    FROM pg_publication_namespace r JOIN pg_publication p ON p.oid = r.pnpubid {scope}
    """


def _subscriptions(majors: Majors) -> Iterator[str]:
    """Their address is left out, and whether they are enabled: a restored one never is."""
    columns = [
        column
        for since, names in _SUBSCRIPTION_FACTS.items()
        for column in names
        if majors.like >= since
    ]
    yield f"""
    SELECT 'subscription definition', quote_ident(subname), {
        facts("subslotname", listed("SELECT t FROM unnest(subpublications) t"), *columns)
    } {SUBSCRIPTIONS} AND {MAY_DUMP_SUBSCRIPTIONS}
    """


SUBSCRIPTIONS = (
    "FROM pg_subscription JOIN pg_database b ON b.oid = subdbid"
    " WHERE b.datname = current_database()"
)
MAY_DUMP_SUBSCRIPTIONS = "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
"""pg_dump's own rule."""
