"""What a server offers and what a database is, read from its catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from backup_lib.model import JsonValue, ServerFacts
from backup_lib.stores.postgres import features
from backup_lib.stores.postgres.connection import value

PRODUCT = "PostgreSQL"
MONETARY = "C"
"""The locale that amounts of ``money`` are dumped in, and read under when they are restored."""
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def version(connection: psycopg.Connection) -> str:
    """The server's version without the distribution's addition: ``15.18``."""
    return str(value(connection, "SHOW server_version")).split()[0]


def major(connection: psycopg.Connection) -> int:
    """The server's major version."""
    return connection.info.server_version // 10000


def offers(connection: psycopg.Connection) -> ServerFacts:
    """Everything the server can restore, in the names of :mod:`.features`."""
    found = {
        features.extension(name): str(default)
        for name, default in connection.execute(
            "SELECT name, default_version FROM pg_available_extensions"
        )
    }
    found |= {
        features.access_method(name): features.YES
        for (name,) in connection.execute("SELECT amname FROM pg_am")
    }
    found |= {
        features.locale(name): features.YES
        for (name,) in connection.execute(
            "SELECT DISTINCT collcollate FROM pg_collation WHERE collprovider = 'c'"
            " AND collcollate <> '' UNION SELECT datcollate FROM pg_database"
        )
    }
    found[features.locale_provider("libc")] = features.YES
    if value(connection, "SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu')"):
        found[features.locale_provider("icu")] = features.YES
    if major(connection) >= features.BUILTIN_PROVIDER_SINCE:
        found[features.locale_provider("builtin")] = features.YES
    for method in _toast_compressions(connection):
        found[features.toast_compression(method)] = features.YES
    if _takes_xml(connection):
        found[features.XML] = features.YES
    found[features.TLS] = features.YES if _ssl_in_use(connection) else features.NO
    return ServerFacts(PRODUCT, version(connection), dict(sorted(found.items())))


def _toast_compressions(connection: psycopg.Connection) -> list[str]:
    methods = value(
        connection, "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"
    )
    assert isinstance(methods, list)
    return methods


def _takes_xml(connection: psycopg.Connection) -> bool:
    try:
        with connection.transaction():
            connection.execute("SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def _ssl_in_use(connection: psycopg.Connection) -> bool:
    return bool(connection.pgconn.ssl_in_use)


@dataclass(frozen=True, slots=True)
class Locale:
    """How a database sorts, compares and tells letters from other characters.

    Attributes:
        provider: ``libc``, ``icu`` or ``builtin``.
        collate: LC_COLLATE.
        ctype: LC_CTYPE.
        name: of the provider's locale, where that is not libc.
        icu_rules: tailoring of an ICU locale.
    """

    provider: str
    collate: str
    ctype: str
    name: str = ""
    icu_rules: str = ""

    def __str__(self) -> str:
        """Such as ``C.UTF-8 (libc)``."""
        parts = (self.name, self.icu_rules) if self.name else (self.collate, self.ctype)
        return f"{' '.join(dict.fromkeys(part for part in parts if part))} ({self.provider})"


@dataclass(frozen=True, slots=True)
class Database:
    """What a restore must know to make an equal database.

    Attributes:
        name: of the database.
        owner: the role that owns it.
        encoding: such as ``UTF8``.
        provider: of its locale: ``libc``, ``icu`` or ``builtin``.
        collate: LC_COLLATE.
        ctype: LC_CTYPE.
        locale: of the provider, where it is not libc.
        icu_rules: tailoring of an ICU locale.
        size: bytes on the server's disk, indexes included.
        roles: that own or were granted something in it, or have settings for it.
        tablespaces: other than the default that something of it lies in.
        public: whether it has a schema of that name, as every new database has.
        money: whether it holds amounts of the type ``money``, and they are dumped as
            :data:`MONETARY` writes them.
        refreshed: its materialized views that are not empty, as SQL spells them, where the query of
            one of them calls a function that may write; else none.
    """

    name: str
    owner: str
    encoding: str
    provider: str
    collate: str
    ctype: str
    locale: str
    icu_rules: str
    size: int
    roles: tuple[str, ...]
    tablespaces: tuple[str, ...]
    public: bool = True
    money: bool = False
    refreshed: tuple[str, ...] = ()

    @property
    def own_locale(self) -> Locale:
        """All of its locale."""
        return Locale(self.provider, self.collate, self.ctype, self.locale, self.icu_rules)

    def as_details(self) -> dict[str, JsonValue]:
        """For the manifest."""
        return {
            "database": self.name,
            "owner": self.owner,
            "encoding": self.encoding,
            "provider": self.provider,
            "collate": self.collate,
            "ctype": self.ctype,
            "locale": self.locale,
            "icu_rules": self.icu_rules,
            "size": self.size,
            "roles": list(self.roles),
            "tablespaces": list(self.tablespaces),
            "public": self.public,
            "money": self.money,
            "refreshed": list(self.refreshed),
        }

    @classmethod
    def from_details(cls, details: Mapping[str, JsonValue]) -> Database:
        """From a manifest; what an older writer left out has its plain default."""

        def text(key: str, default: str) -> str:
            found = details.get(key)
            return found if isinstance(found, str) else default

        def names(key: str) -> tuple[str, ...]:
            found = details.get(key)
            return tuple(map(str, found)) if isinstance(found, list) else ()

        size = details.get("size")
        return cls(
            name=text("database", "restored"),
            owner=text("owner", ""),
            encoding=text("encoding", "UTF8"),
            provider=text("provider", "libc"),
            collate=text("collate", "C"),
            ctype=text("ctype", "C"),
            locale=text("locale", ""),
            icu_rules=text("icu_rules", ""),
            size=size if isinstance(size, int) else 0,
            roles=names("roles"),
            tablespaces=names("tablespaces"),
            public=details.get("public") is not False,
            money=details.get("money") is True,
            refreshed=names("refreshed"),
        )


def database(connection: psycopg.Connection) -> Database:
    """The database that the connection is in."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT d.*, pg_get_userbyid(d.datdba) AS owner, pg_database_size(d.oid) AS size,"
            " pg_encoding_to_char(d.encoding) AS charset"
            " FROM pg_database d WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    own = _locale(row)
    return Database(
        name=row["datname"],
        owner=row["owner"],
        encoding=row["charset"],
        provider=own.provider,
        collate=own.collate,
        ctype=own.ctype,
        locale=own.name,
        icu_rules=own.icu_rules,
        size=row["size"],
        roles=tuple(name for (name,) in connection.execute(_ROLES_IN_USE)),
        tablespaces=tuple(name for (name,) in connection.execute(_TABLESPACES_IN_USE)),
        public=bool(value(connection, "SELECT to_regnamespace('public') IS NOT NULL")),
        money=bool(value(connection, _MONEY)),
        refreshed=tuple(name for (name,) in connection.execute(_REFRESHED)),
    )


def locale_of(connection: psycopg.Connection, name: str) -> Locale:
    """The locale of a database of that name, which there is."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM pg_database WHERE datname = %s", (name,)).fetchone()
    assert row is not None
    return _locale(row)


def _locale(row: Mapping[str, Any]) -> Locale:
    """Of a row of pg_database."""
    # the column was daticulocale in 15 and 16; 14 had neither it nor the provider
    return Locale(
        provider=_PROVIDERS[row.get("datlocprovider", "c")],
        collate=row["datcollate"] or "",
        ctype=row["datctype"] or "",
        name=row.get("datlocale") or row.get("daticulocale") or "",
        icu_rules=row.get("daticurules") or "",
    )


def monetary_locale(connection: psycopg.Connection) -> str:
    """How this session writes and reads amounts of ``money``."""
    return str(value(connection, "SHOW lc_monetary"))


_MONEY = """
WITH RECURSIVE money (type) AS (
    SELECT 'money'::regtype::oid
  UNION
    SELECT t.oid FROM money m, pg_type t LEFT JOIN pg_range r ON r.rngtypid = t.oid
    WHERE m.type IN (t.typelem, t.typbasetype, r.rngsubtype)
)
SELECT EXISTS (
    SELECT FROM pg_attribute a JOIN money m ON m.type = a.atttypid
    WHERE a.attrelid >= 16384 AND NOT a.attisdropped)
"""

# Through views to the functions of users that are volatile: others may not write. Where the
# encoding is not sure, names cannot be written down.
_REFRESHED = """
WITH RECURSIVE used (relation) AS (
    SELECT oid FROM pg_class WHERE relkind = 'm' AND relispopulated
  UNION
    SELECT d.refobjid FROM used u JOIN pg_rewrite r ON r.ev_class = u.relation
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      AND d.refclassid = 'pg_class'::regclass JOIN pg_class c ON c.oid = d.refobjid
    WHERE c.relkind IN ('v', 'm')
)
SELECT format('%I.%I', n.nspname, c.relname)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated
  AND getdatabaseencoding() NOT IN ('SQL_ASCII', 'MULE_INTERNAL')
  AND EXISTS (
    SELECT FROM used u JOIN pg_rewrite r ON r.ev_class = u.relation
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      AND d.refclassid = 'pg_proc'::regclass JOIN pg_proc p ON p.oid = d.refobjid
    WHERE p.provolatile = 'v' AND p.oid >= 16384)
ORDER BY 1
"""

_ROLES_IN_USE = """
SELECT rolname FROM pg_roles r
WHERE r.oid = 10 OR r.oid = (SELECT datdba FROM pg_database WHERE datname = current_database())
   OR EXISTS (
        SELECT FROM pg_shdepend s JOIN pg_database d ON s.dbid = d.oid
        WHERE d.datname = current_database()
          AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid)
   OR EXISTS (
        SELECT FROM pg_db_role_setting s JOIN pg_database d ON s.setdatabase = d.oid
        WHERE d.datname = current_database() AND s.setrole = r.oid)
ORDER BY 1
"""
# the bootstrap role (10) is pinned, and so not in pg_shdepend; settings are in it for no role

_TABLESPACES_IN_USE = """
SELECT DISTINCT spcname FROM pg_tablespace t JOIN pg_class c ON c.reltablespace = t.oid
WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY 1
"""

# relations, functions, types or schemas beyond what initdb and its extensions made
HAS_USER_OBJECTS = """
SELECT EXISTS (SELECT FROM pg_class c WHERE c.oid >= 16384)
    OR EXISTS (SELECT FROM pg_proc p WHERE p.oid >= 16384)
    OR EXISTS (SELECT FROM pg_type t WHERE t.oid >= 16384)
    OR EXISTS (SELECT FROM pg_namespace n WHERE n.oid >= 16384)
    OR EXISTS (SELECT FROM pg_largeobject_metadata)
"""
