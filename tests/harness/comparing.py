"""A restored copy against what the backup says of its source, for every store."""

from __future__ import annotations

from datetime import UTC, datetime

from backup_lib.comparison import compare
from backup_lib.model import Comparison, Fingerprint, StoreRecord, Target
from backup_lib.stores.base import Restorer
from backup_lib.work import Work


def taken_at_source(record: StoreRecord) -> Fingerprint:
    """The fingerprint in the backup."""
    taken = record.backup.fingerprint
    assert taken is not None
    return taken


def compared(
    restorer: Restorer, record: StoreRecord, copy: Target, work: Work, at: datetime | None = None
) -> Comparison:
    """The copy against that fingerprint, now or ``at`` another moment."""
    found = restorer.fingerprint(record, copy, work)
    return compare(taken_at_source(record), found, at or datetime.now(UTC))
