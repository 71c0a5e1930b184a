"""Damage to stored sets: all of it is found at the rung ``integrity``, on every destination."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_lib.destinations.base import MANIFEST_NAME, Destination, SetRef
from backup_lib.kinds import DESTINATIONS
from restoreproof.errors import JudgedBad, Unreachable
from restoreproof.signing import SigningKey
from tests.harness.destinations import RIGS, DestinationRig
from tests.harness.profiles import profile
from tests.harness.sets import StoredSet, store_set, with_ref

FLIPS = {"quick": 600, "full": 20_000}
OLDER = SetRef("nightly", "20260228T120000Z-000000")
KEY = SigningKey.generate()


@pytest.fixture(params=DESTINATIONS.names())
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DestinationRig]:
    with RIGS[request.param](tmp_path) as made:
        yield made


def contents(seed: int) -> dict[str, bytes]:
    rng = random.Random(seed)
    return {
        "database": rng.randbytes(20_000) + b"".join(b"row %d\n" % n for n in range(5_000)),
        "globals": b"create role somebody;\n",
        "empty": b"",
    }


@pytest.fixture
def stored(rig: DestinationRig) -> StoredSet:
    return store_set(rig.connect(), KEY, contents(1))


def raw(destination: Destination, ref: SetRef, name: str) -> bytes:
    with destination.open(ref, name) as file:
        return file.read()


def objects(stored: StoredSet) -> dict[str, bytes]:
    names = [artifact.name for artifact in stored.record.artifacts]
    return {name: raw(stored.destination, stored.ref, name) for name in (*names, MANIFEST_NAME)}


def test_random_single_bit_flips_are_all_found(rig: DestinationRig, stored: StoredSet) -> None:
    rng = random.Random(20260301)
    originals = objects(stored)
    names = sorted(originals)
    missed = []
    for _ in range(FLIPS[profile()]):
        name = rng.choice(names)
        bit = rng.randrange(len(originals[name]) * 8)
        damaged = bytearray(originals[name])
        damaged[bit // 8] ^= 1 << bit % 8
        rig.put(stored.ref, name, bytes(damaged))
        try:
            stored.check()
        except JudgedBad:
            pass
        else:
            missed.append((name, bit))
        rig.put(stored.ref, name, originals[name])

    assert missed == []
    stored.check()


def test_cuts_and_additions_are_all_found(rig: DestinationRig, stored: StoredSet) -> None:
    rng = random.Random(7)
    for name, original in objects(stored).items():
        lengths = {0, 1, len(original) - 1, *(rng.randrange(len(original)) for _ in range(20))}
        for damaged in (*(original[:length] for length in lengths), original + b"\0", original * 2):
            rig.put(stored.ref, name, damaged)
            with pytest.raises(JudgedBad):
                stored.check()
        rig.put(stored.ref, name, original)
    stored.check()


def test_a_missing_artifact_is_bad_and_a_missing_set_is_not_there(
    rig: DestinationRig, stored: StoredSet
) -> None:
    originals = objects(stored)
    for artifact in stored.record.artifacts:
        rig.put(stored.ref, artifact.name, None)
        with pytest.raises(JudgedBad, match="is missing from set"):
            stored.check()
        rig.put(stored.ref, artifact.name, originals[artifact.name])
    rig.put(stored.ref, MANIFEST_NAME, None)
    with pytest.raises(Unreachable):
        stored.check()


def test_swapped_artifacts_are_found(rig: DestinationRig, stored: StoredSet) -> None:
    originals = objects(stored)
    one, two, _ = (artifact.name for artifact in stored.record.artifacts)
    rig.put(stored.ref, one, originals[two])
    rig.put(stored.ref, two, originals[one])

    with pytest.raises(JudgedBad):
        stored.check()


def test_an_artifact_of_another_set_is_found(rig: DestinationRig, stored: StoredSet) -> None:
    older = store_set(rig.connect(), KEY, contents(2), ref=OLDER)
    name = stored.record.artifacts[0].name
    rig.put(stored.ref, name, raw(older.destination, OLDER, name))

    with pytest.raises(JudgedBad, match=name):
        stored.check()


def test_the_manifest_of_another_set_is_found(rig: DestinationRig, stored: StoredSet) -> None:
    store_set(rig.connect(), KEY, contents(2), ref=OLDER)
    rig.put(stored.ref, MANIFEST_NAME, raw(stored.destination, OLDER, MANIFEST_NAME))

    with pytest.raises(JudgedBad, match=f"is that of nightly/{OLDER.set_id}"):
        stored.check()


def test_a_whole_set_under_another_name_is_found(stored: StoredSet) -> None:
    moved = with_ref(stored, set_name="weekly")
    with moved.destination.write_set(moved.ref) as writer:
        writer.publish(raw(stored.destination, stored.ref, MANIFEST_NAME))

    with pytest.raises(JudgedBad, match="is that of nightly"):
        moved.check()


def test_a_set_signed_by_a_stranger_is_bad(rig: DestinationRig, stored: StoredSet) -> None:
    forged = store_set(rig.connect(), SigningKey.generate(), contents(1), ref=OLDER)
    rig.put(stored.ref, MANIFEST_NAME, raw(forged.destination, OLDER, MANIFEST_NAME))

    with pytest.raises(JudgedBad, match="not trusted"):
        stored.check()
