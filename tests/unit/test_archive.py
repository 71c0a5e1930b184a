"""Which sets there are: by heads alone, whole where one is chosen, a bad one never in silence."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backup_lib.destinations.base import Destination, SetRef
from backup_lib.destinations.local import LocalDestination
from backup_lib.format import manifest as codec
from backup_lib.format.head import decode_head
from backup_lib.format.sets import sign_manifest
from backup_lib.model import Artifact, Fingerprint, Item, Manifest, StoreRecord
from backup_lib.services.archive import UnreadableSet, choose_set, list_sets, read_newest, read_set
from restoreproof import canonical_json
from restoreproof.errors import Inconclusive, JudgedBad
from restoreproof.signing import SigningKey, TrustedKeys, seal
from tests.harness.sets import a_backup, a_manifest

KEY = SigningKey.generate()
TRUSTED = TrustedKeys.of(KEY.public)
MIB = 1 << 20


@pytest.fixture
def destination(tmp_path: Path) -> Destination:
    (tmp_path / "backups").mkdir()
    return LocalDestination(tmp_path / "backups", reserve=0)


def manifest(number: int, items: int = 1) -> Manifest:
    fingerprint = Fingerprint(
        "postgres/2",
        "snapshot",
        tuple(Item("column definition", f"public.t_{n:06}", f"{n:032x}") for n in range(items)),
    )
    artifact = Artifact("orders/database.dump.zst", "database", "x/y", number, "ab" * 32, 9)
    record = StoreRecord(
        "orders", "postgres", replace(a_backup(), fingerprint=fingerprint), (artifact,)
    )
    return a_manifest(SetRef("nightly", f"20260301T120000Z-{number:06}"), (record,), number)


def publish(destination: Destination, made: Manifest, envelope: bytes | None = None) -> SetRef:
    ref = SetRef(made.set_name, made.set_id)
    with destination.write_set(ref) as writer:
        writer.publish(envelope or sign_manifest(made, KEY))
    return ref


def altered(made: Manifest, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Rightly signed, and changed before that."""
    document = canonical_json.loads(codec.encode(made))
    change(document)
    return seal(canonical_json.dumps(document), codec.PAYLOAD_TYPE, KEY)


def test_the_listing_tells_of_each_set_what_its_manifest_tells(destination: Destination) -> None:
    for number in (2, 1, 3):
        publish(destination, manifest(number))
    listing = list_sets(destination, TRUSTED, "nightly")
    assert [one.manifest.sequence for one in listing.published] == [3, 2, 1]
    assert listing.highest_sequence() == 3
    for one in listing.published:
        whole = read_set(destination, TRUSTED, one.ref)
        assert (one.digest, one.key_id) == (whole.digest, whole.key_id)
        assert one.manifest.started == whole.manifest.started
        (store,) = one.manifest.stores
        assert (store.name, store.kind) == ("orders", "postgres")
        assert [a.size for a in store.artifacts] == [one.manifest.sequence]
    newest, same = read_newest(destination, TRUSTED, listing)
    assert newest == read_set(destination, TRUSTED, listing.published[0].ref)
    assert same == listing


@pytest.mark.parametrize("items", [1, 4000])
@pytest.mark.parametrize("sets", [2, 8])
def test_the_memory_of_a_listing_does_not_grow_with_sets_or_tables(
    destination: Destination, items: int, sets: int
) -> None:
    publish(destination, manifest(1, items))
    list_sets(destination, TRUSTED, "nightly")  # what is imported for the first time counts not
    peaks: list[int] = []
    kept: list[int] = []
    for more in (range(2, 2), range(2, sets + 1)):
        for number in more:
            publish(destination, manifest(number, items))
        tracemalloc.start()
        listing = list_sets(destination, TRUSTED, "nightly")
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        kept.append(now)
        peaks.append(peak)
    assert len(listing.published) == sets
    assert kept[1] < MIB / 4
    assert peaks[1] < peaks[0] + MIB / 4


def test_a_listed_set_must_be_signed_and_its_own(destination: Destination) -> None:
    good = publish(destination, manifest(1))
    stranger = publish(destination, manifest(2), sign_manifest(manifest(2), SigningKey.generate()))
    swapped = publish(destination, manifest(3), sign_manifest(manifest(1), KEY))
    later = publish(destination, manifest(4), altered(manifest(4), lambda d: d.update(version=2)))
    listing = list_sets(destination, TRUSTED, "nightly")
    assert [one.ref for one in listing.published] == [good]
    told = {one.ref: (one.damaged, one.reason) for one in listing.unreadable}
    assert told[stranger][0]
    assert "not trusted" in told[stranger][1]
    assert told[swapped][0]
    assert "is that of" in told[swapped][1]
    assert not told[later][0]
    assert "version 2" in told[later][1]


def test_a_newest_set_that_is_broken_beyond_its_head_is_passed_over_and_told(
    destination: Destination,
) -> None:
    good = publish(destination, manifest(1))
    broken = publish(
        destination,
        manifest(2),
        altered(manifest(2), lambda d: d["manifest"].update(skew_seconds=-1.0)),
    )
    listing = list_sets(destination, TRUSTED, "nightly")
    assert [one.ref for one in listing.published] == [broken, good]
    newest, listing = read_newest(destination, TRUSTED, listing)
    assert newest is not None
    assert newest.ref == good
    assert [one.ref for one in listing.published] == [good]
    (told,) = listing.unreadable
    assert isinstance(told, UnreadableSet)
    assert (told.ref, told.damaged) == (broken, True)
    assert choose_set(destination, TRUSTED, "nightly").ref == good


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format="something/else"),
        lambda d: d.update(version="1"),
        lambda d: d.pop("manifest"),
        lambda d: d["manifest"].update(sequence=0),
        lambda d: d["manifest"].update(sequence="1"),
        lambda d: d["manifest"].update(started="2026-03-01"),
        lambda d: d["manifest"]["stores"][0].pop("artifacts"),
        lambda d: d["manifest"]["stores"][0]["artifacts"][0].update(size="9"),
    ],
)
def test_a_broken_head_is_judged_bad(change: Callable[[dict[str, Any]], object]) -> None:
    document = canonical_json.loads(codec.encode(manifest(1)))
    change(document)
    with pytest.raises(JudgedBad, match="breaks its format"):
        decode_head(canonical_json.dumps(document))


def test_a_head_of_a_later_version_is_not_judged() -> None:
    later = {"format": codec.FORMAT, "version": 2, "manifest": {"all": "new"}}
    with pytest.raises(Inconclusive, match="version 2"):
        decode_head(canonical_json.dumps(later))
    for data in (b"", b"null", b"[", b"\xff"):
        with pytest.raises(JudgedBad):
            decode_head(data)
