"""The content of a PostgreSQL database: its fingerprint, and what that does not cover."""

from __future__ import annotations

from backup_lib.stores.postgres.content.fingerprint import (
    METHODS,
    ROWS_METHOD,
    Beside,
    compared,
    read_beside,
    take,
    take_held,
    whole,
    with_roles,
)
from backup_lib.stores.postgres.content.holding import held
from backup_lib.stores.postgres.content.schema import Circumstances

__all__ = [
    "METHODS",
    "ROWS_METHOD",
    "Beside",
    "Circumstances",
    "compared",
    "held",
    "read_beside",
    "take",
    "take_held",
    "whole",
    "with_roles",
]
