"""Proofs of verified backups: signed in-toto statements, read by their format alone."""

from __future__ import annotations

from restoreproof.proof.model import (
    ItemNote,
    Moments,
    Predicate,
    RungOutcome,
    SetName,
    Statement,
    StoreOutcome,
    Subject,
    Verifier,
)
from restoreproof.proof.statement import (
    MANIFEST_SUBJECT,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    Proof,
    read_proof,
    sign_proof,
)

__all__ = [
    "sign_proof",
    "read_proof",
    "Proof",
    "Statement",
    "Subject",
    "Predicate",
    "SetName",
    "Verifier",
    "Moments",
    "StoreOutcome",
    "RungOutcome",
    "ItemNote",
    "MANIFEST_SUBJECT",
    "PAYLOAD_TYPE",
    "PREDICATE_TYPE",
]
