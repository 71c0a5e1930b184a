"""Ed25519 keys, who is trusted, and signed envelopes (DSSE) with one canonical encoding."""

from __future__ import annotations

from restoreproof.signing.dsse import EnvelopeTooLarge, Unsealed, WrongPayloadType, seal, unseal
from restoreproof.signing.keys import PublicKey, SigningKey
from restoreproof.signing.trust import TrustedKeys

__all__ = [
    "SigningKey",
    "PublicKey",
    "TrustedKeys",
    "seal",
    "unseal",
    "EnvelopeTooLarge",
    "Unsealed",
    "WrongPayloadType",
]
