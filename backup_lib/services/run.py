"""One backup run: all stores of a set, then the signed manifest, then it exists."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from backup_lib.destinations.base import SetRef, SetWriter
from backup_lib.format.pipeline import StoredArtifactSink
from backup_lib.format.sets import sign_manifest
from backup_lib.model import Manifest, StoreRecord
from backup_lib.services.archive import PublishedSet
from backup_lib.services.reading import stored_size
from backup_lib.services.sequence import next_sequence
from backup_lib.services.site import SetPlan, Site
from backup_lib.stores.base import Source
from backup_lib.work import Work
from restoreproof.errors import Interrupted, RestoreproofError
from restoreproof.events import Warned, step
from restoreproof.locks import hold
from restoreproof.version import tool


@dataclass(frozen=True, slots=True)
class BackupRun:
    """What a run published.

    Attributes:
        ref: the new set.
        manifest: as signed.
        stored_bytes: of all artifacts.
        seconds: wall time of the whole run.
        swept: what earlier, interrupted runs had left behind and is gone now.
    """

    ref: SetRef
    manifest: Manifest
    stored_bytes: int
    seconds: float
    swept: tuple[str, ...]


def run_backup(site: Site, set_name: str, work: Work) -> BackupRun:
    """Back up every store of a set and publish it, all or nothing.

    Raises:
        UsageError: no such set, or there is no signing key yet.
        Unreachable: a store or the destination is away or broke off.
        LockHeld: another run of the same set is at work.
        NoSpace: the destination is full.
        Refused: a store that cannot be backed up rightly; or no earlier set can be read.
    """
    plan = site.plan(set_name)
    key = site.signing_key()
    begun = work.clock.monotonic()
    with (
        hold(site.lock_path(f"run-{plan.name}"), owner=f"backup.run {plan.name}"),
        work.own_scratch() as work,
    ):
        swept = plan.destination.sweep()
        if swept:
            work.emit(Warned(f"removed what {len(swept)} interrupted runs left behind", "", swept))
        sources = {store: site.source(store) for store in plan.stores}
        for store, source in sources.items():
            with step(work.emit, f"{store}:probe", f"Connecting to {store}") as probing:
                facts = source.probe()
                probing.outcome = f"{facts.product} {facts.version}"
        started = work.clock.now()
        ref = SetRef(plan.name, new_set_id(started))
        sequence = next_sequence(site, plan, key.public, work)
        with plan.destination.write_set(ref) as writer:
            records = tuple(
                _back_up(site, plan, store, sources[store], writer, work) for store in plan.stores
            )
            work.cancel.check()
            manifest = Manifest(
                set_name=plan.name,
                set_id=ref.set_id,
                sequence=sequence,
                started=started,
                finished=work.clock.now(),
                skew_seconds=skew_seconds([r.backup.moment for r in records]),
                stores=records,
                tool=tool(),
                configuration=site.exported(plan.name),
            )
            envelope = sign_manifest(manifest, key)
            writer.publish(envelope)
        digest = hashlib.sha256(envelope).hexdigest()
        _remember(site, plan, PublishedSet(ref, manifest, digest, key.public.key_id), work)
    return BackupRun(
        ref=ref,
        manifest=manifest,
        stored_bytes=sum(stored_size(record) for record in manifest.stores),
        seconds=work.clock.monotonic() - begun,
        swept=swept,
    )


def run_backups(site: Site, set_names: Sequence[str], work: Work) -> tuple[BackupRun, ...]:
    """Back up several sets, one after the other; one that fails does not keep the others from it.

    Raises:
        RestoreproofError: what the first set that failed ended with, once all have been tried.
        Interrupted: at once.
    """
    done: list[BackupRun] = []
    failed: list[tuple[str, RestoreproofError]] = []
    for name in set_names:
        work.cancel.check()
        try:
            done.append(run_backup(site, name, work))
        except Interrupted:
            raise
        except RestoreproofError as error:
            if len(set_names) == 1:
                raise
            work.emit(Warned(f"{name} was not backed up: {error.message}", error.hint))
            failed.append((name, error))
    if failed:
        name, first = failed[0]
        raise first.within(f"{len(failed)} of {len(set_names)} sets were not backed up; {name}")
    return tuple(done)


def new_set_id(started: datetime) -> str:
    """``20261122T234501Z-3f9a1c``: sorts by start time; the random part tells two runs apart."""
    return f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def skew_seconds(moments: Sequence[datetime]) -> float:
    """Seconds between the earliest and the latest moment of a set's stores."""
    return (max(moments) - min(moments)).total_seconds() if moments else 0.0


def _remember(site: Site, plan: SetPlan, published: PublishedSet, work: Work) -> None:
    """So that a verification from here misses it, should it be gone by then."""
    try:
        site.memory.saw(plan.destination_name, published, work.clock.now())
    except RestoreproofError as error:
        work.emit(Warned(f"the new set is not remembered: {error.message}", error.hint))


def _back_up(
    site: Site, plan: SetPlan, store: str, source: Source, writer: SetWriter, work: Work
) -> StoreRecord:
    with step(
        work.emit, f"{store}:backup", f"Backing up {store}", monotonic=work.clock.monotonic
    ) as running:
        sink = StoredArtifactSink(writer, store, work, progress=running.progress)
        backup = source.backup(sink, work, fingerprint=site.takes_fingerprint(store))
        running.outcome = f"{len(sink.artifacts)} artifacts"
    return StoreRecord(store, plan.kinds[store], backup, sink.artifacts)
