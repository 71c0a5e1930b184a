"""The schema of a PostgreSQL database: its definitions, as a part of the fingerprint."""

from __future__ import annotations

from backup_lib.stores.postgres.content.schema.joining import (
    Circumstances,
    settled,
    steady,
    with_schema,
)
from backup_lib.stores.postgres.content.schema.reading import (
    Roles,
    Schema,
    read_roles,
    read_schema,
)

__all__ = [
    "Circumstances",
    "Roles",
    "Schema",
    "read_roles",
    "read_schema",
    "settled",
    "steady",
    "with_schema",
]
