from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from backup_lib.destinations.base import SetRef
from backup_lib.format.proofs import prove
from backup_lib.format.schemas import documents
from backup_lib.format.sets import SignedManifest
from backup_lib.model import (
    Artifact,
    Comparison,
    Difference,
    NotCovered,
    ProofLevel,
    Rung,
    RungResult,
    SetVerification,
    StoreRecord,
    StoreVerification,
)
from restoreproof import canonical_json
from restoreproof.errors import Inconclusive, InternalError, JudgedBad
from restoreproof.proof import PAYLOAD_TYPE, read_proof
from restoreproof.signing import SigningKey, TrustedKeys, seal, unseal
from restoreproof.verdict import Verdict
from tests.harness.sets import NOON, a_backup, a_manifest

KEY = SigningKey.generate()
TRUSTED = TrustedKeys.of(KEY.public)
REF = SetRef("nightly", "20260301T120000Z-000001")
ARTIFACT = Artifact("orders/database.dump.zst", "database", "x/y", 10, "12" * 32, 100)
SIGNED = SignedManifest(
    a_manifest(REF, (StoreRecord("orders", "postgres", a_backup(), (ARTIFACT,)),)),
    "ab" * 32,
    "cd" * 32,
)
VERIFICATION = SetVerification(
    set_name="nightly",
    set_id=REF.set_id,
    at=NOON + timedelta(hours=1),
    depth=Rung.CONTENT,
    stores=(
        StoreVerification(
            "orders",
            "postgres",
            (
                RungResult(Rung.INTEGRITY, Verdict.PASSED, "read", seconds=0.5),
                RungResult(Rung.CONTENT, Verdict.PASSED, "equal", remembered=NOON),
            ),
            Comparison(
                ProofLevel.EXACT,
                12,
                (),
                (NotCovered("sequence", "s", "not transactional"),),
                0.923,
            ),
        ),
    ),
    notes=("checked on one machine",),
)
PROOF = prove(VERIFICATION, SIGNED, KEY, version="0.7.0")


def resealed(change: Callable[[dict[str, Any]], object]) -> bytes:
    statement = json.loads(unseal(PROOF, PAYLOAD_TYPE, TRUSTED).payload)
    change(statement)
    return seal(canonical_json.dumps(statement), PAYLOAD_TYPE, KEY)


def test_a_proof_says_what_was_established() -> None:
    proof = read_proof(PROOF, TRUSTED)

    predicate = proof.predicate
    store = predicate.stores[0]
    assert proof.key_id == KEY.public.key_id
    assert proof.manifest_digest == SIGNED.digest
    assert proof.covers(ARTIFACT.sha256)
    assert not proof.covers("00" * 32)
    assert (predicate.verdict, predicate.depth) == (Verdict.PASSED, "content")
    assert (predicate.set.name, predicate.set.id, predicate.set.sequence) == (
        "nightly", REF.set_id, 1,
    )  # fmt: skip
    assert (store.level, store.proven_share, store.equal) == ("exact", 0.923, 12)
    assert [(item.name, item.reason) for item in store.unproven] == [("s", "not transactional")]
    assert store.rungs[1].remembered == NOON
    assert predicate.moments.verified == NOON + timedelta(hours=1)
    assert (predicate.verifier.name, predicate.verifier.version) == ("restoreproof", "0.7.0")


def test_a_failed_verification_is_proven_as_failed() -> None:
    failed = RungResult(Rung.CONTENT, Verdict.FAILED, "one row differs", "look at it")
    store = replace(
        VERIFICATION.stores[0],
        rungs=(failed,),
        comparison=Comparison(
            ProofLevel.NONE, 11, (Difference("table", "orders", "rows differ"),), (), 11 / 12
        ),
    )

    proof = read_proof(
        prove(replace(VERIFICATION, stores=(store,)), SIGNED, KEY, version="1"), TRUSTED
    )

    assert proof.predicate.verdict is Verdict.FAILED
    assert proof.predicate.stores[0].differences[0].reason == "rows differ"


def test_nothing_verified_is_inconclusive() -> None:
    proof = read_proof(prove(replace(VERIFICATION, stores=()), SIGNED, KEY, version="1"), TRUSTED)

    assert proof.predicate.verdict is Verdict.INCONCLUSIVE


def test_a_verification_of_another_set_is_not_proven() -> None:
    with pytest.raises(InternalError, match="another set"):
        prove(replace(VERIFICATION, set_id="other"), SIGNED, KEY, version="1")
    stranger = replace(VERIFICATION.stores[0], store="other")
    with pytest.raises(InternalError, match="passes a store that the manifest has not"):
        prove(replace(VERIFICATION, stores=(stranger,)), SIGNED, KEY, version="1")


def test_the_statement_is_in_toto_v1_and_fits_its_schema() -> None:
    statement = json.loads(unseal(PROOF, "application/vnd.in-toto+json", TRUSTED).payload)
    validator = jsonschema.Draft202012Validator(json.loads(documents()["proof.v1.schema.json"]))

    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [
        {"name": "manifest.dsse.json", "digest": {"sha256": "ab" * 32}},
        {"name": "orders/database.dump.zst", "digest": {"sha256": "12" * 32}},
    ]
    assert [error.message for error in validator.iter_errors(statement)] == []


def test_another_version_is_not_judged() -> None:
    with pytest.raises(Inconclusive, match="does not know") as caught:
        read_proof(resealed(lambda s: s.update(predicateType="urn:restoreproof:proof:v2")), TRUSTED)

    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda s: s.update(more=1),
        lambda s: s["predicate"].update(more=1),
        lambda s: s["predicate"].update(verdict="failed"),
        lambda s: s["predicate"].update(verdict="fine"),
        lambda s: s["predicate"]["stores"][0].update(verdict="inconclusive"),
        lambda s: s["predicate"]["stores"][0].update(proven_share=1.01),
        lambda s: s["predicate"]["stores"][0].pop("unproven"),
        lambda s: s["predicate"]["moments"].update(verified="yesterday"),
        lambda s: s["subject"].clear(),
        lambda s: s["subject"].reverse(),
        lambda s: s["subject"][0]["digest"].update(sha256="AB" * 32),
        lambda s: s["subject"][0]["digest"].update(md5="00"),
    ],
)
def test_a_signed_statement_that_breaks_the_format_is_refused(
    change: Callable[[dict[str, Any]], object],
) -> None:
    with pytest.raises(JudgedBad):
        read_proof(resealed(change), TRUSTED)


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{}", b"\xff"])
def test_a_signed_something_is_no_proof(payload: bytes) -> None:
    with pytest.raises(JudgedBad):
        read_proof(seal(payload, PAYLOAD_TYPE, KEY), TRUSTED)


def test_nobody_trusted_is_no_proof() -> None:
    with pytest.raises(Inconclusive):
        read_proof(PROOF, TrustedKeys.of())
