from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined] # it has no __all__

from restoreproof.errors import Inconclusive, JudgedBad
from restoreproof.signing import SigningKey, TrustedKeys, WrongPayloadType, dsse, seal, unseal

TYPE = "application/vnd.example+json"
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
TRUSTED = TrustedKeys.of(KEY.public)
SEALED = seal(b"payload!", TYPE, KEY)  # 8 bytes: base64 ends in one "=" and has slack bits


@given(st.binary(max_size=300), st.text(st.characters(codec="utf-8"), max_size=30))
def test_what_was_sealed_is_unsealed(payload: bytes, payload_type: str) -> None:
    unsealed = unseal(seal(payload, payload_type, KEY), payload_type, TRUSTED)

    assert (unsealed.payload, unsealed.key_id) == (payload, KEY.public.key_id)


def test_the_same_content_has_the_same_envelope() -> None:
    assert seal(b"payload!", TYPE, KEY) == SEALED


def test_another_implementation_of_dsse_agrees() -> None:
    theirs = SSlibKey.from_crypto(KEY.public._key, keyid=KEY.public.key_id)

    envelope = Envelope.from_dict(json.loads(SEALED))

    assert list(envelope.verify([theirs], 1)) == [KEY.public.key_id]


def test_every_single_bit_flip_is_found() -> None:
    survived = []
    for bit in range(len(SEALED) * 8):
        damaged = bytearray(SEALED)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            unseal(bytes(damaged), TYPE, TRUSTED)
        except JudgedBad:
            continue
        survived.append(bit)

    assert len(SEALED) * 8 > 2000
    assert survived == []


def test_every_cut_is_found() -> None:
    for length in range(len(SEALED)):
        with pytest.raises(JudgedBad):
            unseal(SEALED[:length], TYPE, TRUSTED)


@given(st.randoms(use_true_random=False))
def test_several_changed_bytes_are_found(rng: random.Random) -> None:
    damaged = bytearray(SEALED)
    for place in rng.sample(range(len(SEALED)), rng.randint(1, 5)):
        damaged[place] = rng.choice([b for b in range(256) if b != damaged[place]])

    with pytest.raises(JudgedBad):
        unseal(bytes(damaged), TYPE, TRUSTED)


def changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(SEALED)
    change(document)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def reorder(document: dict[str, Any]) -> bytes:
    return json.dumps(dict(reversed(document.items())), separators=(",", ":")).encode()


def slack(text: str) -> str:
    """The same bytes in base64 with an unused bit set, as lenient decoders accept it."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    altered = body[:-1] + alphabet[alphabet.index(body[-1]) ^ 1] + "=" * (len(text) - len(body))
    assert base64.b64decode(altered) == base64.b64decode(text)
    return altered


def duplicated() -> bytes:
    return SEALED.replace(b'{"payload":', b'{"payload":"AAAA","payload":', 1)


def second_signature(document: dict[str, Any]) -> None:
    twin = json.loads(seal(b"payload!", TYPE, OTHER))["signatures"]
    document["signatures"] += twin


UNSIGNED_CHANGES: dict[str, bytes] = {
    "white space": SEALED.replace(b",", b", "),
    "a final newline": SEALED + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + SEALED,
    "order of keys": reorder(json.loads(SEALED)),
    "escapes": SEALED.replace(b"payloadType", b"payload\\u0054ype"),
    "slack bits of the payload": changed(lambda d: d.update(payload=slack(d["payload"]))),
    "slack bits of the signature": changed(
        lambda d: d["signatures"][0].update(sig=slack(d["signatures"][0]["sig"]))
    ),
    "no padding": changed(lambda d: d.update(payload=d["payload"].rstrip("="))),
    "the other base64 alphabet": changed(
        lambda d: d["signatures"][0].update(
            sig=d["signatures"][0]["sig"].translate(str.maketrans("+/", "-_"))
        )
    ),
    "a line break in base64": changed(lambda d: d.update(payload=d["payload"] + "\n")),
    "a key twice": duplicated(),
    "a field more": changed(lambda d: d.update(comment="")),
    "a field more in the signature": changed(lambda d: d["signatures"][0].update(cert="")),
    "a second signature": changed(second_signature),
    "the same signature twice": changed(lambda d: d.update(signatures=d["signatures"] * 2)),
    "no signature": changed(lambda d: d.update(signatures=[])),
    "another key id": changed(lambda d: d["signatures"][0].update(keyid=OTHER.public.key_id)),
    "the key id in capitals": changed(
        lambda d: d["signatures"][0].update(keyid=d["signatures"][0]["keyid"].upper())
    ),
    "no key id": changed(lambda d: d["signatures"][0].pop("keyid")),
    "another payload type": changed(lambda d: d.update(payloadType="text/plain")),
    "nothing": b"",
    "not an object": b"[]",
    "too deep": b"[" * 100_000,
    "not UTF-8": b"\xff\xfe",
    "a lone surrogate": SEALED.replace(b"application", b"\\ud800"),
    "a huge number": b'{"payload":' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("what", sorted(UNSIGNED_CHANGES))
@pytest.mark.parametrize("trusted", [TRUSTED, TrustedKeys.of(KEY.public, OTHER.public)])
def test_any_other_bytes_are_damage(what: str, trusted: TrustedKeys) -> None:
    altered = UNSIGNED_CHANGES[what]
    assert altered != SEALED

    with pytest.raises(JudgedBad) as caught:
        unseal(altered, TYPE, trusted)

    assert not isinstance(caught.value, WrongPayloadType)


def test_a_stranger_is_not_trusted_and_the_hint_says_how_to_trust() -> None:
    with pytest.raises(JudgedBad, match="not trusted") as caught:
        unseal(seal(b"x", TYPE, OTHER), TYPE, TRUSTED)

    assert "inv backup.keys --trust" in caught.value.hint


def test_trusting_nobody_is_not_a_pass() -> None:
    with pytest.raises(Inconclusive, match="no trusted key") as caught:
        unseal(SEALED, TYPE, TrustedKeys.of())

    assert "inv backup.keys --trust FILE" in caught.value.hint


def test_a_payload_signed_as_something_else_is_refused_by_its_type() -> None:
    with pytest.raises(WrongPayloadType) as caught:
        unseal(SEALED, "application/vnd.in-toto+json", TRUSTED)

    assert caught.value.found == TYPE


def test_an_envelope_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dsse, "MAX_ENVELOPE", len(SEALED) - 1)

    with pytest.raises(JudgedBad, match="larger"):
        unseal(SEALED, TYPE, TRUSTED)
    with pytest.raises(ValueError, match="at most"):
        seal(b"payload!", TYPE, KEY)


def test_the_key_id_can_be_computed_by_hand() -> None:
    der = base64.b64decode(KEY.public.text.removeprefix("ed25519:"))

    assert KEY.public.key_id == hashlib.sha256(der).hexdigest()
