"""The signed manifest of a stored set: made, and read back with every check."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from backup_lib.destinations.base import Destination, SetRef
from backup_lib.format import manifest as codec
from backup_lib.format.head import ManifestHead, decode_head
from backup_lib.limits import too_large
from backup_lib.model import Manifest
from restoreproof.errors import JudgedBad
from restoreproof.signing import (
    EnvelopeTooLarge,
    SigningKey,
    TrustedKeys,
    WrongPayloadType,
    seal,
    unseal,
)


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest that a trusted key signed.

    Attributes:
        manifest: the content.
        digest: SHA-256 of the stored envelope in hex: what ``sha256sum manifest.dsse.json`` says,
            what ``requires`` of other manifests and the subject of proofs hold.
        key_id: who signed it.
    """

    manifest: Manifest
    digest: str
    key_id: str


@dataclass(frozen=True, slots=True)
class SignedHead:
    """As :class:`SignedManifest`, with the head of the manifest alone."""

    head: ManifestHead
    digest: str
    key_id: str


def sign_manifest(manifest: Manifest, key: SigningKey) -> bytes:
    """The envelope to publish.

    Raises:
        InternalError: the manifest breaks its format.
        Refused: it is larger than any that :func:`read_manifest` would read.
    """
    try:
        return seal(codec.encode(manifest), codec.PAYLOAD_TYPE, key)
    except EnvelopeTooLarge as error:
        raise too_large(error.size, f"the set {manifest.set_name} has too many objects") from None


def read_manifest(destination: Destination, ref: SetRef, trusted: TrustedKeys) -> SignedManifest:
    """Fetch and judge the manifest of ``ref``.

    Raises:
        Inconclusive: nobody is trusted, or the manifest is of a version not known here.
        JudgedBad: damaged, signed by somebody else, or the manifest of another set.
        Unreachable: the destination is away, or there is no such set.
    """
    payload, digest, key_id = _unsealed(destination, ref, trusted)
    manifest = codec.decode(payload)
    _demand_own(manifest, ref)
    return SignedManifest(manifest, digest, key_id)


def read_head(destination: Destination, ref: SetRef, trusted: TrustedKeys) -> SignedHead:
    """As :func:`read_manifest`, of the head alone: signed just the same, the rest not looked at."""
    payload, digest, key_id = _unsealed(destination, ref, trusted)
    head = decode_head(payload)
    _demand_own(head, ref)
    return SignedHead(head, digest, key_id)


def _unsealed(
    destination: Destination, ref: SetRef, trusted: TrustedKeys
) -> tuple[bytes, str, str]:
    """What was signed, the digest of the envelope, and the id of the key."""
    envelope = destination.manifest(ref)
    try:
        unsealed = unseal(envelope, codec.PAYLOAD_TYPE, trusted, what=_what(ref))
    except WrongPayloadType as error:
        version = codec.version_of_payload_type(error.found)
        if version is not None and version > codec.VERSION:
            raise codec.unknown_version(version) from None
        raise
    return unsealed.payload, hashlib.sha256(envelope).hexdigest(), unsealed.key_id


def _demand_own(manifest: Manifest | ManifestHead, ref: SetRef) -> None:
    if (manifest.set_name, manifest.set_id) != (ref.set_name, ref.set_id):
        raise JudgedBad(
            f"{_what(ref)} is that of {manifest.set_name}/{manifest.set_id}",
            hint="somebody moved or swapped backup sets in the destination",
        )


def _what(ref: SetRef) -> str:
    return f"the manifest of {ref.set_name}/{ref.set_id}"
