"""Backups proven by restoring them.

``from backup_lib import BackupVerifier`` is the stable entry for other programs; it is imported
when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backup_lib.verifier import BackupVerifier

__all__ = ["BackupVerifier"]

if not TYPE_CHECKING:  # else every name would be one

    def __getattr__(name: str) -> object:
        if name in __all__:
            from backup_lib.verifier import BackupVerifier

            return BackupVerifier
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
