"""The content of a PostgreSQL database: its fingerprint, and what that does not cover."""

from __future__ import annotations

from backup_lib.stores.postgres.content.fingerprint import (
    METHOD,
    ROWS_METHOD,
    Beside,
    compared,
    read_beside,
    take,
    whole,
)
from backup_lib.stores.postgres.content.schema import Circumstances

__all__ = [
    "METHOD",
    "ROWS_METHOD",
    "Beside",
    "Circumstances",
    "compared",
    "read_beside",
    "take",
    "whole",
]
