"""Signing keys: make one, list those at hand, trust another machine's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backup_lib.services.bare import read_public_key
from backup_lib.services.site import Site
from restoreproof.errors import Refused
from restoreproof.signing import PublicKey, SigningKey, TrustedKeys


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key at hand.

    Attributes:
        key_id: as it stands in manifests.
        public: the key in its one-line text form, for copying.
        signs: whether the private half is here.
        trusted: whether signatures by it are believed.
        path: where it is kept.
    """

    key_id: str
    public: str
    signs: bool
    trusted: bool
    path: Path


def make_key(site: Site) -> KeyEntry:
    """Make the signing key of this configuration, and trust it here.

    Raises:
        Refused: there is one already; a key is never overwritten.
    """
    path = site.config.signing_key
    if path.exists():
        raise Refused(
            f"there is a signing key already: {path}",
            hint="to change keys, move it away first; its public half stays trusted",
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = SigningKey.generate()
    key.save(path)
    TrustedKeys.add(site.config.trusted_keys, key.public)
    return KeyEntry(key.public.key_id, key.public.text, signs=True, trusted=True, path=path)


def list_keys(site: Site) -> tuple[KeyEntry, ...]:
    """The signing key, if there is one, and every trusted key."""
    entries: list[KeyEntry] = []
    signing: PublicKey | None = None
    trusted = site.trusted
    if site.config.signing_key.exists():
        signing = SigningKey.load(site.config.signing_key).public
        entries.append(
            KeyEntry(
                signing.key_id,
                signing.text,
                signs=True,
                trusted=trusted.get(signing.key_id) is not None,
                path=site.config.signing_key,
            )
        )
    entries += [
        KeyEntry(key.key_id, key.text, signs=False, trusted=True, path=site.config.trusted_keys)
        for key in trusted
        if key != signing
    ]
    return tuple(entries)


def trust_key(site: Site, key: str) -> KeyEntry:
    """Trust a public key, given as a file or as its one-line text.

    Raises:
        UsageError: it is neither.
    """
    public = read_public_key(key)
    return KeyEntry(
        public.key_id,
        public.text,
        signs=False,
        trusted=True,
        path=TrustedKeys.add(site.config.trusted_keys, public),
    )
