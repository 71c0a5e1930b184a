"""Two ways to ruin a backup: what every checksum finds, and what only the content tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from backup_lib.destinations.base import SetRef, SetWriter
from backup_lib.format.pipeline import StoredArtifactSink
from backup_lib.format.sets import sign_manifest
from backup_lib.format.source import StoredArtifactSource
from backup_lib.model import Manifest, StoreRecord
from backup_lib.services.run import new_set_id
from backup_lib.services.site import Site
from backup_lib.stores.valkey.rdb import RdbFrame
from backup_lib.work import Work

BLOCK = 1 << 20


def flip_one_bit(artifact: Path) -> int:
    """Flip one bit in the middle of a file; the offset of its byte. Calling it again mends it."""
    with artifact.open("r+b") as file:
        offset = artifact.stat().st_size // 2
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 0b0001_0000]))
    return offset


@dataclass(frozen=True, slots=True)
class Forgery:
    """A value that is altered while the backup is written.

    Attributes:
        before: as it is in the plain artifact …
        after: … and what becomes of it, of the same length.
        store: whose artifact; the first one's if empty.
        role: of the artifact.
        mend: repairs the artifact's own checksum, where it has one.
    """

    before: bytes
    after: bytes
    store: str = ""
    role: str = "database"
    mend: Callable[[bytes], bytes] = bytes

    def __post_init__(self) -> None:
        if len(self.before) != len(self.after):
            raise ValueError("an altered value must keep its length")

    def forge(self, plain: bytes) -> bytes:
        """The artifact with the value altered."""
        if self.before not in plain:
            raise ValueError("the value to alter is not in the artifact")
        return self.mend(plain.replace(self.before, self.after, 1))


def with_right_crc(rdb: bytes) -> bytes:
    """An RDB file with the CRC-64 at its end made right again."""
    frame = RdbFrame()
    frame.add(rdb)
    return rdb[:-8] + frame.checksum.to_bytes(8, "little")


def publish_forged(site: Site, original: Manifest, work: Work, *forgeries: Forgery) -> SetRef:
    """Publish a set with artifacts that were altered before they were hashed.

    Every digest and the signature are right, as after a bug in the way of the dump or by somebody
    who holds the key: nothing but the content can tell.
    """
    plan = site.plan(original.set_name)
    started = work.clock.now()
    ref = SetRef(original.set_name, new_set_id(started))
    with plan.destination.write_set(ref) as writer:
        records = tuple(
            _copied(site, original, record, forgeries, writer, work, started)
            for record in original.stores
        )
        forged = replace(
            original,
            set_id=ref.set_id,
            sequence=original.sequence + 1,
            started=started,
            finished=work.clock.now(),
            stores=records,
        )
        writer.publish(sign_manifest(forged, site.signing_key()))
    return ref


def _copied(
    site: Site,
    original: Manifest,
    record: StoreRecord,
    forgeries: Sequence[Forgery],
    writer: SetWriter,
    work: Work,
    started: datetime,
) -> StoreRecord:
    """One store of the set, its artifacts written anew; those that are meant are altered."""
    source = StoredArtifactSource(
        site.plan(original.set_name).destination,
        SetRef(original.set_name, original.set_id),
        record,
        work.cancel,
    )
    sink = StoredArtifactSink(writer, record.name, work)
    for artifact in record.artifacts:
        name = Path(artifact.name).name.removesuffix(".zst")
        staged = source.stage(artifact.role, work.scratch)
        plain = staged.read_bytes()
        staged.unlink()
        for forgery in forgeries:
            store = forgery.store or original.stores[0].name
            if (store, forgery.role) == (record.name, artifact.role):
                plain = forgery.forge(plain)
        with sink.open(name, role=artifact.role, media_type=artifact.media_type) as out:
            out.write(plain)
    return replace(record, artifacts=sink.artifacts, backup=replace(record.backup, moment=started))
