"""The sets in a destination, as their signed manifests tell it, not file names and mtimes."""

from __future__ import annotations

from dataclasses import dataclass

from backup_lib.destinations.base import Destination, SetRef
from backup_lib.format.sets import read_manifest
from backup_lib.model import Manifest
from restoreproof.errors import Inconclusive, JudgedBad, UsageError
from restoreproof.signing import TrustedKeys


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """A set whose manifest was read and whose signature holds."""

    ref: SetRef
    manifest: Manifest
    digest: str
    """SHA-256 of the signed envelope, hex: what a proof is about."""
    key_id: str
    """Who signed it."""


@dataclass(frozen=True, slots=True)
class UnreadableSet:
    """A set whose manifest is damaged, not signed by a trusted key, or of an unknown version."""

    ref: SetRef
    reason: str
    hint: str
    damaged: bool
    """False where it merely could not be judged (a newer format version)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All sets of one name, newest first; the unreadable ones apart, never dropped in silence."""

    published: tuple[PublishedSet, ...]
    unreadable: tuple[UnreadableSet, ...]

    @property
    def newest(self) -> PublishedSet | None:
        """The newest complete set, by the sequence and time inside its signed manifest."""
        return self.published[0] if self.published else None

    def highest_sequence(self) -> int:
        """The highest sequence number seen; 0 where there is no set."""
        return max((s.manifest.sequence for s in self.published), default=0)


def read_set(destination: Destination, trusted: TrustedKeys, ref: SetRef) -> PublishedSet:
    """Read and check one manifest; the errors are those of ``read_manifest``."""
    signed = read_manifest(destination, ref, trusted)
    return PublishedSet(ref, signed.manifest, signed.digest, signed.key_id)


def try_set(
    destination: Destination, trusted: TrustedKeys, ref: SetRef
) -> PublishedSet | UnreadableSet:
    """As :func:`read_set`, with a manifest that cannot be read as an answer, not an error.

    Raises:
        Unreachable: the destination is away.
    """
    try:
        return read_set(destination, trusted, ref)
    except JudgedBad as bad:
        return UnreadableSet(ref, bad.message, bad.hint, damaged=True)
    except Inconclusive as unknown:
        return UnreadableSet(ref, unknown.message, unknown.hint, damaged=False)


def list_sets(destination: Destination, trusted: TrustedKeys, set_name: str) -> Listing:
    """All sets of that name in ``destination``.

    Raises:
        Unreachable: the destination is away.
    """
    published: list[PublishedSet] = []
    unreadable: list[UnreadableSet] = []
    for ref in destination.sets(set_name):
        found = try_set(destination, trusted, ref)
        if isinstance(found, PublishedSet):
            published.append(found)
        else:
            unreadable.append(found)
    published.sort(key=lambda s: (s.manifest.sequence, s.manifest.started), reverse=True)
    unreadable.sort(key=lambda s: s.ref, reverse=True)
    return Listing(tuple(published), tuple(unreadable))


def find_set(destination: Destination, set_name: str, set_id: str) -> SetRef:
    """The set with that id, which may be shortened as long as it is the only one.

    Raises:
        UsageError: no such set, or several.
    """
    refs = sorted(ref for ref in destination.sets(set_name) if ref.set_id.startswith(set_id))
    exact = [ref for ref in refs if ref.set_id == set_id]
    if exact or len(refs) == 1:
        return (exact or refs)[0]
    if refs:
        raise UsageError(
            f"{len(refs)} sets of {set_name} begin with {set_id}",
            hint="give more of the id: " + ", ".join(ref.set_id for ref in refs[:5]),
        )
    raise UsageError(
        f"there is no set {set_id} of {set_name}",
        hint=f"list what is there: inv backup.list --set {set_name}",
    )


def has_set(destination: Destination, set_name: str, set_id: str) -> bool:
    """Whether there is a backup with that (perhaps shortened) id."""
    return any(ref.set_id.startswith(set_id) for ref in destination.sets(set_name))


def choose_set(
    destination: Destination, trusted: TrustedKeys, set_name: str, set_id: str = ""
) -> PublishedSet:
    """The named set, or the newest complete one.

    Raises:
        UsageError: there is no such set, or none at all.
        JudgedBad: it cannot be read, or none of them can.
        Unreachable: the destination is away.
    """
    if set_id:
        return read_set(destination, trusted, find_set(destination, set_name, set_id))
    listing = list_sets(destination, trusted, set_name)
    if listing.newest is not None:
        return listing.newest
    if listing.unreadable:
        first = listing.unreadable[0]
        raise JudgedBad(f"no set of {set_name} can be read: {first.reason}", hint=first.hint)
    raise UsageError(
        f"there is no backup of {set_name}", hint=f"make one: inv backup.run --set {set_name}"
    )
