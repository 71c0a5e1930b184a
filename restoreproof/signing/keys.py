"""Ed25519 keys in files: the private one as PEM (PKCS #8), the public one as one line of text.

The text of a public key is ``ed25519:`` and the base64 of its DER SubjectPublicKeyInfo (RFC 8410),
which is also the body of its PEM form. The key id is the SHA-256 of that DER in hex, so that both
can be checked by hand with ``openssl`` and ``sha256sum``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from restoreproof.atomic import durable_file
from restoreproof.errors import Refused, UsageError

_TEXT_PREFIX = "ed25519:"
_LARGEST_FILE = 64 * 1024
_NEW_KEY = "make a new one with: inv backup.keys --make"


class PublicKey:
    """The public half: checks signatures, may be shown and copied freely."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @cached_property
    def der(self) -> bytes:
        """SubjectPublicKeyInfo, 44 bytes."""
        return self._key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @cached_property
    def key_id(self) -> str:
        """SHA-256 of :attr:`der`, 64 hex digits."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def text(self) -> str:
        """The key on one line, for copying: ``ed25519:BASE64``."""
        return _TEXT_PREFIX + base64.b64encode(self.der).decode()

    @property
    def pem(self) -> bytes:
        """The key in PEM, as ``openssl`` wants it."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @classmethod
    def parse(cls, text: str, *, where: str = "the text") -> PublicKey:
        """Read the one-line form or PEM; white space around it does not matter.

        Raises:
            UsageError: it is neither, or the key is of another type; names ``where``.
        """
        text = text.strip()
        try:
            if text.startswith("-----BEGIN PUBLIC KEY-----"):
                key = serialization.load_pem_public_key(text.encode())
            elif text.startswith(_TEXT_PREFIX):
                der = base64.b64decode(text.removeprefix(_TEXT_PREFIX), validate=True)
                key = serialization.load_der_public_key(der)
            else:
                raise ValueError("neither form")
            if not isinstance(key, Ed25519PublicKey):
                raise TypeError("another type of key")
        except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
            raise UsageError(
                f"{where} is not an Ed25519 public key",
                hint=f"it is one line that begins with '{_TEXT_PREFIX}', or PEM; "
                "print it where backups are made with: inv backup.keys",
            ) from None
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> PublicKey:
        """Read a key from a file, in either form.

        Raises:
            UsageError: the file cannot be read or holds no such key.
        """
        return cls.parse(_read(path).decode(errors="replace"), where=str(path))

    def save(self, path: Path) -> None:
        """Write the one-line form to a new file.

        Raises:
            Refused: there is such a file already.
            NoSpace, Unreachable: it cannot be written.
        """
        _write_new(path, self.text.encode() + b"\n", mode=0o644)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` is this key's over ``data``."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.der == self.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"PublicKey({self.text!r})"


class SigningKey:
    """The private half. It shows in no repr and is written only where it is told to."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> SigningKey:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, pem: bytes, *, where: str = "the text") -> SigningKey:
        """Read PEM (PKCS #8, not encrypted).

        Raises:
            UsageError: it is anything else; names ``where`` and never quotes the content.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError("another type of key")
        except TypeError:
            raise UsageError(
                f"the signing key in {where} is encrypted with a passphrase",
                hint="a nightly run cannot ask for one: store it decrypted, mode 0600 "
                "(openssl pkey -in OLD -out NEW)",
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise UsageError(
                f"{where} is not an Ed25519 private key in PEM", hint=_NEW_KEY
            ) from None
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a key from a file that only its owner can read.

        Raises:
            UsageError: the file cannot be read, others can read it, or it holds no such key.
        """
        return cls.parse(_read(path, private=True), where=str(path))

    def save(self, path: Path) -> None:
        """Write PEM to a new file, mode 0600.

        Raises:
            Refused: there is such a file already.
            NoSpace, Unreachable: it cannot be written.
        """
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _write_new(path, pem, mode=0o600)

    @cached_property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``: 64 bytes, the same each time (RFC 8032)."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.public.key_id!r})"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is not pickled")


def _read(path: Path, *, private: bool = False) -> bytes:
    what = "signing key" if private else "public key"
    try:
        # O_NONBLOCK: a pipe put where a key belongs must not hang us
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"the {what} {path} is not a file")
            if private and status.st_mode & 0o077:
                raise UsageError(
                    f"the signing key {path} can be read by others "
                    f"(mode {stat.S_IMODE(status.st_mode):04o})",
                    hint=f"chmod 600 {path}",
                )
            return file.read(_LARGEST_FILE)
    except FileNotFoundError:
        raise UsageError(
            f"there is no {what} {path}",
            hint=_NEW_KEY if private else "give the path of a .pub file",
        ) from None
    except OSError as error:
        raise UsageError(f"the {what} {path} cannot be read: {error.strerror}") from None


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    try:
        with durable_file(path, mode=mode, exclusive=True) as file:
            file.write(content)
    except Refused:
        raise Refused(
            f"{path} exists already and is not overwritten",
            hint="give another name, or move the old key away; old backups stay readable as long "
            "as its public half is trusted",
        ) from None
