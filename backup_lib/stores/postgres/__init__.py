"""The store ``postgres``: logical backups of PostgreSQL 14 to 18, proven by restoring them.

Only this class is imported with the package; psycopg and pydantic come with its methods.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from backup_lib.stores.base import ForeignRestorer, Restorer, Source, StoreCapabilities

if TYPE_CHECKING:
    from restoreproof.config.model import Settings


class PostgresStore:
    """The plugin."""

    kind: ClassVar[str] = "postgres"
    capabilities: ClassVar[StoreCapabilities] = StoreCapabilities(
        proof="exact",
        partial_restore=True,
        assertions="SQL",
        plain_kinds=("postgres-sql", "postgres-custom", "postgres-tar", "postgres-directory"),
    )

    @classmethod
    def settings(cls) -> type[Settings]:
        from backup_lib.stores.postgres.settings import PostgresSettings

        return PostgresSettings

    @classmethod
    def source(cls, name: str, settings: Settings, base: Path) -> Source:
        from backup_lib.stores.postgres.settings import PostgresSettings
        from backup_lib.stores.postgres.source import PostgresSource

        assert isinstance(settings, PostgresSettings)
        return PostgresSource(name, settings, base)

    @classmethod
    def restorer(cls) -> Restorer:
        from backup_lib.stores.postgres.restorer import PostgresRestorer

        return PostgresRestorer()

    @classmethod
    def foreign(cls) -> ForeignRestorer:
        from backup_lib.stores.postgres.foreign import PostgresForeign

        return PostgresForeign()
