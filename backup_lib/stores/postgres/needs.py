"""What a restore of a database needs from a server, and which of that a server lacks."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from backup_lib.model import Gap, Need, ServerFacts, StoreRecord
from backup_lib.stores.postgres import catalog, features
from restoreproof.errors import extra_hint

_C_LOCALES = ("", "C", "POSIX")

# Objects made after initdb have object ids from 16384 on (FirstNormalObjectId).
_XML_COLUMN = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.oid >= 16384 AND NOT a.attisdropped
  AND 'xml'::regtype IN (t.oid, t.typelem, t.typbasetype) LIMIT 1
"""

_LZ4_COLUMN = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND NOT a.attisdropped AND a.attcompression = 'l' LIMIT 1
"""

# collations that some column, index or domain names, or that were made in this database
_COLLATIONS = """
WITH used(oid) AS (
    SELECT attcollation FROM pg_attribute WHERE attrelid >= 16384 AND NOT attisdropped
    UNION SELECT unnest(indcollation) FROM pg_index WHERE indexrelid >= 16384
    UNION SELECT typcollation FROM pg_type WHERE oid >= 16384
    UNION SELECT oid FROM pg_collation WHERE oid >= 16384)
SELECT c.collname, c.collprovider, coalesce(c.collcollate, '')
FROM used JOIN pg_collation c USING (oid) WHERE c.collprovider IN ('c', 'i', 'b')
ORDER BY 1, 2, 3
"""

_RANGE_PARTITIONED_BY_TEXT = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_partitioned_table p
JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.partstrat = 'r'
  AND EXISTS (SELECT FROM unnest(p.partcollation) AS k WHERE k = 'pg_catalog.default'::regcollation)
LIMIT 1
"""

_ACCESS_METHODS = """
SELECT m.amname, min(format('%I.%I', n.nspname, c.relname))
FROM pg_class c JOIN pg_am m ON m.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE m.oid >= 16384 GROUP BY 1 ORDER BY 1
"""


def needs(connection: psycopg.Connection, database: catalog.Database) -> tuple[Need, ...]:
    """What a server must offer to restore the database that the connection is in."""
    version = catalog.version(connection)
    found = [
        Need(features.SERVER, str(catalog.major(connection)), f"dumped from PostgreSQL {version}")
    ]
    if database.provider != "libc":
        found.append(
            Need(features.locale_provider(database.provider), "", "locale of the database")
        )
    found += _of_collations(connection, database)
    found += _of_columns(connection)
    for name, used in connection.execute(
        "SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
    ):
        found.append(Need(features.extension(name), "", f"extension {name} {used}"))
    unique: dict[str, Need] = {}
    for need in found:
        unique.setdefault(need.feature, need)  # the first reason is enough
    return tuple(unique.values())


def _of_columns(connection: psycopg.Connection) -> Iterator[Need]:
    for (name,) in connection.execute(_XML_COLUMN):
        yield Need(features.XML, "", f"xml in {name}")
    for (name,) in connection.execute(_LZ4_COLUMN):
        yield Need(features.toast_compression("lz4"), "", f"lz4 compression in {name}")
    for method, name in connection.execute(_ACCESS_METHODS):
        yield Need(features.access_method(method), "", f"storage of {name}")


def _of_collations(connection: psycopg.Connection, database: catalog.Database) -> Iterator[Need]:
    for name, provider, collate in connection.execute(_COLLATIONS):
        if provider == "i":
            yield Need(features.locale_provider("icu"), "", f"collation {name}")
        elif provider == "b":
            yield Need(features.locale_provider("builtin"), "", f"collation {name}")
        elif collate not in _C_LOCALES:
            yield Need(features.locale(collate), "", f"collation {name}")
    if database.provider == "libc" and database.collate not in _C_LOCALES:
        for (name,) in connection.execute(_RANGE_PARTITIONED_BY_TEXT):
            yield Need(
                features.locale(database.collate), "", f"{name} is partitioned by ranges of text"
            )


def gaps(record: StoreRecord, offers: ServerFacts) -> tuple[Gap, ...]:
    """The needs of a backup that a server does not meet, each with what closes it."""
    found = []
    for need in record.backup.needs:
        if need.feature == features.SERVER:
            if features.major(offers.version) < features.major(need.value):
                found.append(_older_server(need, record, offers))
        elif not _offered(need.feature, offers):
            found.append(_missing(need, offers))
    return tuple(found)


def _offered(feature: str, offers: ServerFacts) -> bool:
    return offers.features.get(feature, features.NO) != features.NO


def _older_server(need: Need, record: StoreRecord, offers: ServerFacts) -> Gap:
    return Gap(
        need,
        f"a dump of PostgreSQL {record.backup.server.version} is not restored into "
        f"the older PostgreSQL {offers.version}",
        hint=f"use a server of major version {need.value} or newer: "
        f"postgresql-{need.value} (Debian), or {extra_hint('embedded')}",
    )


def _missing(need: Need, offers: ServerFacts) -> Gap:
    server = features.major(offers.version)
    noun, name = need.feature.partition(":")[::2]
    what, hint = {
        "extension": (f"the extension {name}", _extension_hint(name, server)),
        "locale_provider": (
            f"the locale provider {name}",
            f"use postgresql-{server} (Debian), which has ICU; builtin is in PostgreSQL 17 and up",
        ),
        "locale": (
            f"the system locale {name}",
            f"generate it on the sandbox's machine: locale-gen {name} (Debian: package locales)",
        ),
        "toast_compression": (
            f"{name} compression of large values",
            f"use a server that is built with it, such as postgresql-{server} (Debian)",
        ),
        "access_method": (
            f"the access method {name}",
            "install the extension that brings it",
        ),
        features.XML: (
            "the type xml",
            f"use a server that is built with libxml, such as postgresql-{server} (Debian)",
        ),
    }.get(noun, (need.feature, "use a sandbox whose server offers it"))
    return Gap(need, f"the server lacks {what}, which the backup needs ({need.why})", hint=hint)


_CONTRIB = frozenset({"pgcrypto", "uuid-ossp", "sslinfo", "xml2"})
"""Come with PostgreSQL itself, but are not in every build of it."""

_PACKAGES = {"vector": "pgvector", "postgis_topology": "postgis-3", "postgis": "postgis-3"}


def _extension_hint(name: str, server: int) -> str:
    """The Debian package that brings an extension."""
    if name in _CONTRIB:
        return f"use the server of postgresql-{server} (Debian), which brings {name}"
    if name.startswith("pl"):
        package = f"postgresql-{name.removesuffix('u')}-{server}"
    else:
        package = f"postgresql-{server}-{_PACKAGES.get(name, name.replace('_', '-'))}"
    return f"install it beside the sandbox's server (Debian: {package})"
