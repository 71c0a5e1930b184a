"""Reading every stored byte of a store against its signed manifest."""

from __future__ import annotations

from backup_lib.destinations.base import Destination
from backup_lib.format.head import StoreHead
from backup_lib.format.integrity import check_artifact
from backup_lib.model import StoreRecord
from backup_lib.services.archive import PublishedSet
from backup_lib.work import Work
from restoreproof.events import step


def stored_size(record: StoreRecord | StoreHead) -> int:
    """Stored bytes of all artifacts of a store."""
    return sum(artifact.size for artifact in record.artifacts)


def read_every_byte(
    destination: Destination, chosen: PublishedSet, record: StoreRecord, work: Work
) -> None:
    """Read all artifacts of a store of ``chosen`` and compare them with the manifest.

    Raises:
        JudgedBad: an artifact is missing or not the one that was stored.
        Unreachable: the destination broke off.
    """
    total = stored_size(record)
    with step(
        work.emit,
        f"{record.name}:integrity",
        f"Reading every byte of {record.name}",
        total=total,
        monotonic=work.clock.monotonic,
    ) as reading:
        done = 0
        for artifact in record.artifacts:

            def progress(read: int, before: int = done) -> None:
                reading.progress(before + read, total)

            check_artifact(destination, chosen.ref, artifact, work, progress=progress)
            done += artifact.size
