"""Signing a proof, and reading one back with every check."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from restoreproof import canonical_json
from restoreproof.errors import Inconclusive, JudgedBad
from restoreproof.proof.model import Predicate, Statement, Subject
from restoreproof.signing import SigningKey, TrustedKeys, seal, unseal

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "urn:restoreproof:proof:v1"
"""A name and no address: nothing has to be reachable, or to stay ours, for a proof to be read."""

MANIFEST_SUBJECT = "manifest.dsse.json"
"""Name of the subject that is the set's manifest; it is always the first."""

_FAMILY = "urn:restoreproof:proof:v"


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that a trusted key signed.

    Attributes:
        statement: everything it says.
        key_id: who signed it.
    """

    statement: Statement
    key_id: str

    @property
    def predicate(self) -> Predicate:
        """What the verification established."""
        return self.statement.predicate

    @property
    def manifest_digest(self) -> str:
        """SHA-256 of the verified set's ``manifest.dsse.json``, hex."""
        return self.statement.subject[0].digest.sha256

    def covers(self, sha256: str) -> bool:
        """Whether the stored bytes with that digest are among what was verified."""
        return any(subject.digest.sha256 == sha256 for subject in self.statement.subject)


def sign_proof(
    predicate: Predicate, manifest_digest: str, artifacts: dict[str, str], key: SigningKey
) -> bytes:
    """The signed statement: an envelope as in :mod:`restoreproof.signing.dsse`.

    Args:
        predicate: what was established.
        manifest_digest: SHA-256 of the set's stored envelope, hex.
        artifacts: SHA-256 by stored name, of every artifact that was verified.
        key: who signs.
    """
    subjects = [Subject.of(MANIFEST_SUBJECT, manifest_digest)]
    subjects += [Subject.of(name, digest) for name, digest in sorted(artifacts.items())]
    # once through the validation, whatever the predicate was made from
    statement = Statement(subject=tuple(subjects), predicate=predicate)
    return seal(_encode(statement), PAYLOAD_TYPE, key)


def read_proof(envelope: bytes, trusted: TrustedKeys, *, what: str = "the proof") -> Proof:
    """Check the signature and read the statement.

    Raises:
        Inconclusive: nobody is trusted, or the proof is of a version not known here.
        JudgedBad: damaged, not signed by a trusted key, or no proof of a backup.
    """
    unsealed = unseal(envelope, PAYLOAD_TYPE, trusted, what=what)
    try:
        head = canonical_json.loads(unsealed.payload)
    except canonical_json.NotCanonical as error:
        raise JudgedBad(f"{what} holds something that is {error}") from None
    _check_version(head, what)
    try:
        statement = Statement.model_validate_json(unsealed.payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise JudgedBad(f"{what} breaks its format at {where}: {first['msg']}") from None
    if statement.subject[0].name != MANIFEST_SUBJECT:
        raise JudgedBad(f"{what} is not about a backup set: its first subject is no manifest")
    if _encode(statement) != unsealed.payload:
        raise JudgedBad(f"{what} is not the canonical encoding of its content")
    return Proof(statement, unsealed.key_id)


def _check_version(head: object, what: str) -> None:
    found = head.get("predicateType") if isinstance(head, dict) else None
    if not isinstance(found, str) or not found.startswith(_FAMILY):
        raise JudgedBad(f"{what} is not a proof of a backup but {found!r}")
    if found != PREDICATE_TYPE:
        raise Inconclusive(
            f"{what} is of a version that this software does not know: {found}",
            hint="it was made by a newer restoreproof: upgrade this one",
        )


def _encode(statement: Statement) -> bytes:
    return canonical_json.dumps(statement.model_dump(mode="json", by_alias=True))
