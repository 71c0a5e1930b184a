"""Two ways to ruin a backup: what every checksum finds, and what only the content tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from backup_lib.destinations.base import SetRef
from backup_lib.format.pipeline import StoredArtifactSink
from backup_lib.format.sets import sign_manifest
from backup_lib.format.source import StoredArtifactSource
from backup_lib.model import Manifest
from backup_lib.services.run import new_set_id
from backup_lib.services.site import Site
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
    """A row that is altered while the dump is written."""

    before: bytes
    after: bytes

    def __post_init__(self) -> None:
        if len(self.before) != len(self.after):
            raise ValueError("an altered row must keep its length")


def publish_forged(site: Site, original: Manifest, forgery: Forgery, work: Work) -> SetRef:
    """Publish a set whose dump was altered before it was hashed.

    Every digest and the signature are right, as after a bug in the way of the dump or by somebody
    who holds the key: nothing but the content can tell.
    """
    plan = site.plan(original.set_name)
    started = work.clock.now()
    ref = SetRef(original.set_name, new_set_id(started))
    record = original.stores[0]
    source = StoredArtifactSource(
        plan.destination, SetRef(original.set_name, original.set_id), record, work.cancel
    )
    with plan.destination.write_set(ref) as writer:
        sink = StoredArtifactSink(writer, record.name, work)
        for artifact in record.artifacts:
            name = Path(artifact.name).name.removesuffix(".zst")
            staged = source.stage(artifact.role, work.scratch)
            plain = staged.read_bytes()
            staged.unlink()
            if artifact.role == "database":
                if forgery.before not in plain:
                    raise ValueError("the row to alter is not in the dump")
                plain = plain.replace(forgery.before, forgery.after, 1)
            with sink.open(name, role=artifact.role, media_type=artifact.media_type) as out:
                out.write(plain)
        forged = replace(
            original,
            set_id=ref.set_id,
            sequence=original.sequence + 1,
            started=started,
            finished=work.clock.now(),
            stores=(
                replace(
                    record,
                    artifacts=sink.artifacts,
                    backup=replace(record.backup, moment=started),
                ),
            ),
        )
        writer.publish(sign_manifest(forged, site.signing_key()))
    return ref
