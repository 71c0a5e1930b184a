"""The sets in a destination, as their signed manifests tell it, not file names and mtimes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from backup_lib.destinations.base import Destination, SetRef
from backup_lib.format.head import ManifestHead
from backup_lib.format.sets import read_head, read_manifest
from backup_lib.model import Manifest
from restoreproof.errors import Inconclusive, JudgedBad, UsageError
from restoreproof.signing import TrustedKeys

R = TypeVar("R")


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
class ListedSet:
    """A set whose signature holds, and of whose manifest only the head was read."""

    ref: SetRef
    manifest: ManifestHead
    digest: str
    """As of :class:`PublishedSet`."""
    key_id: str


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
    """All sets of one name, newest first; the unreadable ones apart, never dropped in silence.

    Newest by the sequence and time inside the signed manifests. Of those only the heads are kept:
    a hundred sets with large fingerprints must not fill the memory.
    """

    published: tuple[ListedSet, ...]
    unreadable: tuple[UnreadableSet, ...]

    @property
    def newest(self) -> ListedSet | None:
        """The newest complete set."""
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
    return _tried(ref, lambda ref: read_set(destination, trusted, ref))


def _tried(ref: SetRef, read: Callable[[SetRef], R]) -> R | UnreadableSet:
    try:
        return read(ref)
    except JudgedBad as bad:
        return UnreadableSet(ref, bad.message, bad.hint, damaged=True)
    except Inconclusive as unknown:
        return UnreadableSet(ref, unknown.message, unknown.hint, damaged=False)


def _listed(destination: Destination, trusted: TrustedKeys, ref: SetRef) -> ListedSet:
    signed = read_head(destination, ref, trusted)
    return ListedSet(ref, signed.head, signed.digest, signed.key_id)


def list_sets(destination: Destination, trusted: TrustedKeys, set_name: str) -> Listing:
    """All sets of that name in ``destination``.

    Raises:
        Unreachable: the destination is away.
    """
    published: list[ListedSet] = []
    unreadable: list[UnreadableSet] = []
    for ref in destination.sets(set_name):
        found = _tried(ref, lambda ref: _listed(destination, trusted, ref))
        if isinstance(found, UnreadableSet):
            unreadable.append(found)
        else:
            published.append(found)
    published.sort(key=lambda s: (s.manifest.sequence, s.manifest.started), reverse=True)
    unreadable.sort(key=lambda s: s.ref, reverse=True)
    return Listing(tuple(published), tuple(unreadable))


def read_newest(
    destination: Destination, trusted: TrustedKeys, listing: Listing
) -> tuple[PublishedSet | None, Listing]:
    """The newest set of a listing with its whole manifest; None where there is none.

    Returns:
        it, and the listing without those that turned out to be unreadable beyond their heads:
        they are among its unreadable ones.

    Raises:
        Unreachable: the destination is away.
    """
    published, unreadable = list(listing.published), list(listing.unreadable)
    newest: PublishedSet | None = None
    while published and newest is None:
        found = try_set(destination, trusted, published[0].ref)
        if isinstance(found, UnreadableSet):
            unreadable.insert(0, found)
            del published[0]
        else:
            newest = found
    return newest, Listing(tuple(published), tuple(unreadable))


def find_set(destination: Destination, set_name: str, set_id: str) -> SetRef:
    """The set with that id, which may be shortened as long as it is the only one.

    Raises:
        UsageError: no such set, or several, or no id at all: every set begins with that.
    """
    if not set_id:
        raise UsageError(
            "the id of the backup is empty",
            hint=f"list what is there: inv backup.list --set {set_name}; without --backup the "
            "newest is meant",
        )
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
    newest, listing = read_newest(destination, trusted, list_sets(destination, trusted, set_name))
    if newest is not None:
        return newest
    if listing.unreadable:
        first = listing.unreadable[0]
        raise JudgedBad(f"no set of {set_name} can be read: {first.reason}", hint=first.hint)
    raise UsageError(
        f"there is no backup of {set_name}", hint=f"make one: inv backup.run --set {set_name}"
    )
