"""Backup sets made of given bytes, without any data store: what tests of format and damage use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from backup_lib.destinations.base import Destination, SetRef
from backup_lib.format.integrity import check_artifact
from backup_lib.format.pipeline import StoredArtifactSink
from backup_lib.format.sets import SignedManifest, read_manifest, sign_manifest
from backup_lib.model import (
    Fingerprint,
    Item,
    Manifest,
    Need,
    NotCovered,
    ServerFacts,
    StoreBackup,
    StoreRecord,
)
from backup_lib.work import Work
from restoreproof.signing import SigningKey, TrustedKeys

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class StoredSet:
    """A published set and who is to be trusted for it."""

    destination: Destination
    ref: SetRef
    signed: SignedManifest
    trusted: TrustedKeys

    @property
    def record(self) -> StoreRecord:
        return self.signed.manifest.stores[0]

    def check(self) -> None:
        """The rung integrity over the whole set: manifest and every artifact."""
        signed = read_manifest(self.destination, self.ref, self.trusted)
        for store in signed.manifest.stores:
            for artifact in store.artifacts:
                check_artifact(self.destination, self.ref, artifact, Work())


def a_backup() -> StoreBackup:
    return StoreBackup(
        server=ServerFacts("PostgreSQL", "18.6", {"tls": "no"}),
        moment=NOON,
        fingerprint=Fingerprint(
            "postgres/1",
            "snapshot",
            (
                Item("sequence", 'public."Ünï"', low=1, high=51),
                Item("table", "public.orders", "5d41402abc4b2a76", 3),
            ),
            (NotCovered("foreign table", "public.far", "lives elsewhere"),),
        ),
        needs=(Need("server", "18", "dumped by 18.6"),),
        notes=("roles without passwords",),
        details={"format": "custom", "jobs": 2, "ratio": 0.5, "deep": [None, True, {"a": "ß"}]},
    )


def a_manifest(ref: SetRef, stores: tuple[StoreRecord, ...] = (), sequence: int = 1) -> Manifest:
    return Manifest(
        set_name=ref.set_name,
        set_id=ref.set_id,
        sequence=sequence,
        started=NOON,
        finished=NOON + timedelta(seconds=5),
        skew_seconds=0.25,
        stores=stores,
        requires=("ab" * 32,),
        tool="restoreproof 0",
        configuration={"set": {"stores": ["orders"]}},
    )


def store_set(
    destination: Destination,
    key: SigningKey,
    contents: Mapping[str, bytes],
    *,
    ref: SetRef | None = None,
    store: str = "orders",
) -> StoredSet:
    """Publish a set with one artifact for each role in ``contents``."""
    ref = ref or SetRef("nightly", "20260301T120000Z-000001")
    with destination.write_set(ref) as writer:
        sink = StoredArtifactSink(writer, store, Work())
        for role, content in contents.items():
            with sink.open(f"{role}.dump", role=role, media_type="x/y") as artifact:
                artifact.write(content)
        record = StoreRecord(store, "postgres", a_backup(), sink.artifacts)
        writer.publish(sign_manifest(a_manifest(ref, (record,)), key))
    trusted = TrustedKeys.of(key.public)
    return StoredSet(destination, ref, read_manifest(destination, ref, trusted), trusted)


def with_ref(stored: StoredSet, **changes: str) -> StoredSet:
    """The same set looked for under another name or id."""
    return replace(stored, ref=replace(stored.ref, **changes))
