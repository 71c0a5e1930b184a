"""The kinds of plain backup files."""

from __future__ import annotations

from enum import StrEnum


class PlainKind(StrEnum):
    """What a plain backup file is. Text kinds may be compressed with gzip or zstd on top."""

    POSTGRES_SQL = "postgres-sql"
    """``pg_dump`` or ``pg_dumpall`` as SQL text, or other SQL."""
    POSTGRES_CUSTOM = "postgres-custom"
    """``pg_dump -Fc``."""
    POSTGRES_TAR = "postgres-tar"
    """``pg_dump -Ft``."""
    POSTGRES_DIRECTORY = "postgres-directory"
    """``pg_dump -Fd``."""
    JSON = "json"
    """One JSON document, or several one after the other (JSON lines)."""
    VALKEY_RDB = "valkey-rdb"
    """``dump.rdb``."""
    VALKEY_AOF = "valkey-aof"
    """An ``appendonlydir``."""
    NEO4J_DUMP = "neo4j-dump"
    """``neo4j-admin database dump``."""
    QDRANT_SNAPSHOT = "qdrant-snapshot"
    """A collection snapshot or a full storage snapshot."""
    OPENSEARCH_REPOSITORY = "opensearch-repository"
    """The folder of a snapshot repository of type ``fs``."""
    COMPRESSED = "compressed"
    """gzip or zstd, of something unknown."""
    UNKNOWN = "unknown"
    """None of these."""

    @property
    def store(self) -> str:
        """The kind of store it restores into; empty where the file does not tell."""
        store, dash, _ = self.value.partition("-")
        return store if dash else ""
