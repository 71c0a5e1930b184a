"""The content of a PostgreSQL database: its fingerprint, and what that does not cover."""

from __future__ import annotations

from backup_lib.stores.postgres.content.fingerprint import METHOD, take
from backup_lib.stores.postgres.content.sequences import bracketed, read_sequences

__all__ = ["METHOD", "bracketed", "read_sequences", "take"]
