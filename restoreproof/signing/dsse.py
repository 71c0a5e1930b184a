"""Signed envelopes: DSSE (secure-systems-lab/dsse, v1.0) with exactly one encoding.

The signature covers payload and payload type and nothing else. Key id, white space, the order of
keys and the unused bits of base64 are therefore checked here: an envelope that is not byte for
byte what :func:`seal` writes is damaged. There is exactly one signature.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from securesystemslib.dsse import Envelope

from restoreproof import canonical_json
from restoreproof.errors import JudgedBad
from restoreproof.signing.keys import SigningKey
from restoreproof.signing.trust import TrustedKeys

MAX_ENVELOPE = 64 * 1024 * 1024
"""Bytes; the fingerprint of some 40,000 PostgreSQL tables with all their definitions fills it."""

_DAMAGED = "it was damaged or changed after it was signed: use another copy or an older backup"


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What a trusted key signed."""

    payload: bytes
    key_id: str


class WrongPayloadType(JudgedBad):
    """Rightly signed by a trusted key, but as something else (:attr:`found`)."""

    def __init__(self, message: str, *, found: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.found = found


class EnvelopeTooLarge(ValueError):
    """It has more than :data:`MAX_ENVELOPE` bytes (:attr:`size`)."""

    def __init__(self, size: int) -> None:
        super().__init__(f"an envelope has at most {MAX_ENVELOPE} bytes, this has {size}")
        self.size = size


def seal(payload: bytes, payload_type: str, key: SigningKey) -> bytes:
    """The signed envelope around ``payload``: the same bytes for the same arguments.

    Raises:
        EnvelopeTooLarge: :func:`unseal` would not read it.
    """
    signature = key.sign(_pae(payload, payload_type))
    envelope = _encode(payload, payload_type, key.public.key_id, signature)
    if len(envelope) > MAX_ENVELOPE:
        raise EnvelopeTooLarge(len(envelope))
    return envelope


def unseal(
    envelope: bytes, payload_type: str, trusted: TrustedKeys, *, what: str = "the envelope"
) -> Unsealed:
    """The payload, once everything about the envelope has been checked.

    Args:
        envelope: exactly the bytes that :func:`seal` made.
        payload_type: what the payload must have been signed as.
        trusted: whose signature counts.
        what: subject of the messages, such as ``the manifest of nightly``.

    Raises:
        Inconclusive: nobody is trusted.
        JudgedBad: any other bytes, a signature that is wrong, or of a key that is not trusted.
        WrongPayloadType: signed by a trusted key, but as another type of payload.
    """
    trusted.require()
    payload, found_type, key_id, signature = _decode(envelope, what)
    key = trusted.get(key_id)
    if key is None:
        raise JudgedBad(
            f"{what} is signed with the key {key_id[:16]!r}…, which is not trusted",
            hint="if that key is one of yours: inv backup.keys --trust FILE; else " + _DAMAGED,
        )
    if not key.verifies(signature, _pae(payload, found_type)):
        raise JudgedBad(f"the signature of {what} is wrong", hint=_DAMAGED)
    if found_type != payload_type:
        raise WrongPayloadType(
            f"{what} is signed as {found_type!r}, not as {payload_type!r}", found=found_type
        )
    return Unsealed(payload, key_id)


def _decode(envelope: bytes, what: str) -> tuple[bytes, str, str, bytes]:
    if len(envelope) > MAX_ENVELOPE:
        raise JudgedBad(f"{what} is larger than any envelope ({MAX_ENVELOPE} bytes)", hint=_DAMAGED)
    try:
        match canonical_json.loads(envelope):
            case {
                "payload": str(payload_text),
                "payloadType": str(payload_type),
                "signatures": [{"keyid": str(key_id), "sig": str(signature_text)}],
            }:
                payload = base64.b64decode(payload_text, validate=True)
                signature = base64.b64decode(signature_text, validate=True)
            case _:
                raise ValueError("not an envelope with one signature")
        # also refuses fields beside those, and unused bits of base64 that are not zero
        if _encode(payload, payload_type, key_id, signature) != envelope:
            raise ValueError("not the one encoding of its content")
    except (ValueError, binascii.Error) as error:
        raise JudgedBad(f"{what} is not a signed envelope: {error}", hint=_DAMAGED) from None
    return payload, payload_type, key_id, signature


def _encode(payload: bytes, payload_type: str, key_id: str, signature: bytes) -> bytes:
    return canonical_json.dumps(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def _pae(payload: bytes, payload_type: str) -> bytes:
    """The bytes that are signed: DSSE's pre-authentication encoding."""
    encoded: bytes = Envelope(payload, payload_type, {}).pae()
    return encoded
