"""PostgreSQL servers of the distribution: other majors than the wheel's, built with everything."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_INSTALLED = Path("/usr/lib/postgresql")


def server_programs() -> Path:
    """The folder of the newest server that Debian installed; the test is skipped without one."""
    found = sorted(
        (folder for folder in _INSTALLED.glob("*/bin") if (folder / "postgres").exists()),
        key=lambda folder: int(folder.parent.name),
    )
    if not found:
        pytest.skip("no PostgreSQL server of the distribution: run .ci/setup")
    return found[-1]


class Authority:
    """A certificate authority of the test's own, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        common = f"test authority {uuid.uuid4().hex}"
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        self.certificate = folder / "ca.crt"
        self._write(self.certificate, self._signed(self._name, self._key.public_key(), ca=True))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key (mode 0600) for a host or a role."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._folder / f"{name}.crt"
        private = self._folder / f"{name}.key"
        self._write(certificate, self._signed(subject, key.public_key(), ca=False))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        private.chmod(0o600)
        return certificate, private

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        common = subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            names = x509.SubjectAlternativeName([x509.DNSName(str(common))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    @staticmethod
    def _write(path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
