"""The proof of a verified set: this package's vocabulary in the words of the proof format."""

from __future__ import annotations

from datetime import datetime

from backup_lib.format.sets import SignedManifest
from backup_lib.model import NotCovered, ProofLevel, SetVerification, StoreRecord, StoreVerification
from restoreproof.errors import InternalError
from restoreproof.proof import (
    ItemNote,
    Moments,
    Predicate,
    RungOutcome,
    SetName,
    StoreOutcome,
    Verifier,
    sign_proof,
)
from restoreproof.signing import SigningKey
from restoreproof.verdict import Verdict


def prove(
    verification: SetVerification, signed: SignedManifest, key: SigningKey, *, version: str
) -> bytes:
    """The signed in-toto statement about one verification of a set.

    Its subjects are the manifest and the artifacts of the stores that were verified. A store that
    the set lacks is in it as well, with the verdict that this got: a proof leaves nothing out.

    Args:
        verification: the outcome.
        signed: the manifest of the very set that was verified.
        key: the verifier's own, which need not be the key of the backup.
        version: of the verifying software.

    Raises:
        InternalError: the verification is of another set, or passes a store the manifest has not.
    """
    manifest = signed.manifest
    if (verification.set_name, verification.set_id) != (manifest.set_name, manifest.set_id):
        raise InternalError("a verification and the manifest of another set were put together")
    records = {record.name: record for record in manifest.stores}
    for store in verification.stores:
        if store.store not in records and store.verdict is Verdict.PASSED:
            raise InternalError("a verification passes a store that the manifest has not")
    predicate = Predicate(
        set=SetName(name=manifest.set_name, id=manifest.set_id, sequence=manifest.sequence),
        verdict=verification.verdict,
        depth=verification.depth.value,
        stores=tuple(
            _outcome(store, records.get(store.store), manifest.started)
            for store in verification.stores
        ),
        moments=Moments(
            backup_started=manifest.started,
            backup_finished=manifest.finished,
            verified=verification.at,
        ),
        verifier=Verifier(name="restoreproof", version=version),
        notes=verification.notes,
    )
    artifacts = {
        artifact.name: artifact.sha256
        for store in verification.stores
        if store.store in records
        for artifact in records[store.store].artifacts
    }
    return sign_proof(predicate, signed.digest, artifacts, key)


def _outcome(
    store: StoreVerification, record: StoreRecord | None, started: datetime
) -> StoreOutcome:
    comparison = store.comparison
    level = comparison.level if comparison else ProofLevel.NONE
    left_out = record.backup.not_covered if record else ()
    unproven = left_out + (comparison.unproven if comparison else ())
    return StoreOutcome(
        name=store.store,
        kind=store.kind,
        verdict=store.verdict,
        content_moment=record.backup.moment if record else started,
        rungs=tuple(
            RungOutcome(
                rung=rung.rung.value,
                verdict=rung.verdict,
                reason=rung.reason,
                seconds=rung.seconds,
                remembered=rung.remembered,
            )
            for rung in store.rungs
        ),
        level=level.value,
        proven_share=comparison.proven_share if comparison else 0.0,
        equal=comparison.equal if comparison else 0,
        differences=tuple(
            ItemNote(kind=difference.kind, name=difference.name, reason=difference.what)
            for difference in (comparison.differences if comparison else ())
        ),
        unproven=tuple(_note(item) for item in dict.fromkeys(unproven)),
    )


def _note(item: NotCovered) -> ItemNote:
    return ItemNote(kind=item.kind, name=item.name, reason=item.reason)
