from __future__ import annotations

import os
import pickle
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from restoreproof.errors import Inconclusive, Refused, UsageError
from restoreproof.signing import PublicKey, SigningKey, TrustedKeys


def pem(
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey, password: bytes | None = None
) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def test_a_saved_key_signs_as_before(tmp_path: Path) -> None:
    key = SigningKey.generate()
    key.save(tmp_path / "signing.key")

    loaded = SigningKey.load(tmp_path / "signing.key")

    assert loaded.public == key.public
    assert key.public.verifies(loaded.sign(b"data"), b"data")
    assert not key.public.verifies(loaded.sign(b"data"), b"other")


def test_a_signing_key_is_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    previous = os.umask(0)
    try:
        SigningKey.generate().save(path)
    finally:
        os.umask(previous)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_signing_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.key"
    SigningKey.generate().save(path)
    path.chmod(mode)

    with pytest.raises(UsageError, match="can be read by others") as caught:
        SigningKey.load(path)

    assert caught.value.hint == f"chmod 600 {path}"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = SigningKey.generate()
    first.save(path)

    with pytest.raises(Refused, match="not overwritten"):
        SigningKey.generate().save(path)
    with pytest.raises(Refused, match="not overwritten"):
        first.public.save(path)

    assert SigningKey.load(path).public == first.public
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an Ed25519 private key"),
        (b"garbage \xff\x00", "not an Ed25519 private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 private key"),
        (SigningKey.generate().public.pem, "not an Ed25519 private key"),
        (pem(Ed25519PrivateKey.generate(), b"passphrase"), "encrypted with a passphrase"),
    ],
    ids=["empty", "garbage", "another type", "public", "encrypted"],
)
def test_what_is_no_signing_key_is_refused_and_not_quoted(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "signing.key"
    path.touch(0o600)
    path.write_bytes(content)

    with pytest.raises(UsageError, match=message) as caught:
        SigningKey.load(path)

    assert str(path) in caught.value.message
    assert caught.value.hint
    assert "garbage" not in caught.value.message + caught.value.hint


def test_a_missing_key_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(UsageError, match="there is no signing key") as caught:
        SigningKey.load(tmp_path / "missing")
    assert "inv backup.keys --make" in caught.value.hint
    with pytest.raises(UsageError, match="is not a file"):
        SigningKey.load(tmp_path / "pipe")
    with pytest.raises(UsageError):
        SigningKey.load(tmp_path)
    with pytest.raises(UsageError, match="there is no public key"):
        PublicKey.load(tmp_path / "missing")


def test_the_private_half_does_not_show() -> None:
    key = SigningKey.generate()

    assert repr(key) == f"SigningKey(key_id={key.public.key_id!r})"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_a_public_key_is_read_in_both_of_its_forms(tmp_path: Path) -> None:
    key = SigningKey.generate().public
    key.save(tmp_path / "a.pub")
    (tmp_path / "b.pub").write_bytes(key.pem)

    assert PublicKey.load(tmp_path / "a.pub") == PublicKey.load(tmp_path / "b.pub") == key
    assert PublicKey.parse(f"  {key.text}\n") == key
    assert (tmp_path / "a.pub").read_text() == key.text + "\n"
    assert key.text.removeprefix("ed25519:") in key.pem.decode()


@pytest.mark.parametrize(
    "text",
    ["", "ed25519:", "ed25519:AAAA", "ed25519:€", "rsa:AAAA", "-----BEGIN PUBLIC KEY-----\nAA\n"],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the argument is not an Ed25519 public key"):
        PublicKey.parse(text, where="the argument")


def test_a_public_key_of_another_type_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    text = other.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()

    with pytest.raises(UsageError):
        PublicKey.parse(text)


def test_trusted_keys_are_the_pub_files_of_a_folder(tmp_path: Path) -> None:
    one, two, stranger = (SigningKey.generate().public for _ in range(3))
    one.save(tmp_path / "one.pub")
    path = TrustedKeys.add(tmp_path, two)
    stranger.save(tmp_path / "stranger.txt")

    trusted = TrustedKeys(tmp_path)

    assert path == TrustedKeys.add(tmp_path, two)
    assert set(trusted) == {one, two}
    assert trusted.get(one.key_id) == one
    assert trusted.get(stranger.key_id) is None


def test_a_missing_folder_trusts_nobody_and_says_so(tmp_path: Path) -> None:
    trusted = TrustedKeys(tmp_path / "missing")

    assert len(trusted) == 0
    with pytest.raises(Inconclusive, match=r"no trusted key in .*missing"):
        trusted.require()


def test_garbage_among_the_trusted_keys_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pub").write_text("garbage")

    with pytest.raises(UsageError, match=r"bad\.pub is not an Ed25519 public key"):
        TrustedKeys(tmp_path)


def test_openssl_reads_keys_and_checks_signatures(tmp_path: Path) -> None:
    key = SigningKey.generate()
    (tmp_path / "key.pem").write_bytes(key.public.pem)
    (tmp_path / "data").write_bytes(b"data")
    (tmp_path / "sig").write_bytes(key.sign(b"data"))

    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "data",
         "-sigfile", "sig"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "Signature Verified Successfully" in done.stdout
