"""What every kind of destination has to keep (``backup_lib.destinations.base``)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_lib.destinations.base import MANIFEST_NAME, Destination, SetRef
from backup_lib.kinds import DESTINATIONS
from restoreproof.errors import InternalError, Refused, Unreachable
from restoreproof.signing import SigningKey
from tests.harness.destinations import RIGS, DestinationRig
from tests.harness.forked import forked
from tests.harness.sets import store_set

ONE = SetRef("nightly", "20260301T120000Z-000001")
TWO = SetRef("nightly", "20260302T120000Z-000002")
OTHER = SetRef("weekly", "20260301T120000Z-000003")


class _Fault(Exception):
    pass


@pytest.fixture(params=DESTINATIONS.names())
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DestinationRig]:
    with RIGS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def destination(rig: DestinationRig) -> Destination:
    return rig.connect()


def publish(destination: Destination, ref: SetRef, **objects: bytes) -> None:
    with destination.write_set(ref) as writer:
        for name, content in objects.items():
            with writer.create(f"store/{name}.zst") as file:
                file.write(content)
        writer.publish(b"manifest of " + ref.set_id.encode())


def read(destination: Destination, ref: SetRef, name: str) -> bytes:
    with destination.open(ref, name) as file:
        return file.read()


def test_every_kind_has_a_rig() -> None:
    assert set(DESTINATIONS.names()) == set(RIGS)


def test_an_empty_destination_is_well_and_has_no_sets(destination: Destination) -> None:
    assert destination.probe()
    assert list(destination.sets()) == []
    assert destination.sweep() == ()


def test_a_set_exists_from_the_moment_its_manifest_exists(
    rig: DestinationRig, destination: Destination
) -> None:
    reader = rig.connect()
    with destination.write_set(ONE) as writer:
        with writer.create("store/a.zst") as file:
            file.write(b"content")
        assert list(reader.sets()) == []
        with pytest.raises(Unreachable, match="no set"):
            reader.manifest(ONE)
        writer.publish(b"manifest")
        assert list(reader.sets()) == [ONE]
    assert list(reader.sets()) == [ONE]
    assert reader.manifest(ONE) == b"manifest"


def test_what_was_written_is_read(destination: Destination) -> None:
    large = bytes(range(256)) * 20_000
    with destination.write_set(ONE) as writer:
        for name, pieces in (("a.zst", [b"one", b"two"]), ("b/c.zst", [large]), ("d.zst", [])):
            with writer.create(f"store/{name}") as file:
                for piece in pieces:
                    file.write(piece)
        writer.publish(b"manifest")

    assert read(destination, ONE, "store/a.zst") == b"onetwo"
    assert read(destination, ONE, "store/b/c.zst") == large
    assert read(destination, ONE, "store/d.zst") == b""
    assert destination.size(ONE, "store/b/c.zst") == len(large)
    assert destination.size(ONE, "store/d.zst") == 0


def test_an_object_whose_block_failed_is_not_there_and_can_be_made_anew(
    destination: Destination,
) -> None:
    def fail(write: Callable[[bytes], int]) -> None:
        write(b"half" * 100_000)
        raise _Fault

    with destination.write_set(ONE) as writer:
        with pytest.raises(_Fault), writer.create("store/a.zst") as file:
            fail(file.write)
        with writer.create("store/b.zst") as file:
            file.write(b"whole")
        with writer.create("store/a.zst") as file:
            file.write(b"again")
        writer.publish(b"manifest")

    assert read(destination, ONE, "store/a.zst") == b"again"
    assert read(destination, ONE, "store/b.zst") == b"whole"


@pytest.mark.parametrize("how", [_Fault, KeyboardInterrupt, None], ids=["error", "Ctrl-C", "left"])
def test_a_set_that_is_not_published_leaves_nothing(
    rig: DestinationRig, destination: Destination, how: type[BaseException] | None
) -> None:
    publish(destination, ONE, a=b"older")
    before = rig.stored()

    def run() -> None:
        for ref in (TWO, OTHER):
            with destination.write_set(ref) as writer:
                with writer.create("store/a.zst") as file:
                    file.write(b"content" * 1000)
                if how is not None:
                    raise how

    if how is None:
        run()
    else:
        with pytest.raises(how):
            run()

    assert rig.stored() == before
    assert list(destination.sets()) == [ONE]


def test_a_published_set_is_nothing_but_its_objects(
    rig: DestinationRig, destination: Destination
) -> None:
    publish(destination, ONE, a=b"x")

    names = {name.rpartition("/")[2] for name in rig.stored()}
    assert {"a.zst", MANIFEST_NAME} <= names
    assert not [name for name in names if name.startswith(".")]


def test_nothing_is_ever_overwritten(rig: DestinationRig, destination: Destination) -> None:
    def twice() -> None:
        with destination.write_set(TWO) as writer:
            for content in (b"first", b"second"):
                with writer.create("store/a.zst") as file:
                    file.write(content)

    publish(destination, ONE, a=b"first")
    before = rig.stored()

    with pytest.raises(Refused):
        publish(destination, ONE, a=b"second")
    with pytest.raises(Refused):
        twice()

    assert rig.stored() == before


def test_a_set_is_published_once(destination: Destination) -> None:
    def twice() -> None:
        with destination.write_set(ONE) as writer:
            writer.publish(b"first")
            writer.publish(b"second")

    with pytest.raises(InternalError):
        twice()

    assert destination.manifest(ONE) == b"first"


def test_what_is_missing_is_told_apart_from_a_destination_that_is_away(
    rig: DestinationRig, destination: Destination
) -> None:
    publish(destination, ONE, a=b"x")

    with pytest.raises(FileNotFoundError):
        read(destination, ONE, "store/missing.zst")
    with pytest.raises(FileNotFoundError):
        destination.size(ONE, "store/missing.zst")
    with pytest.raises(Unreachable, match="no set"):
        destination.manifest(TWO)
    with pytest.raises(Unreachable, match="no set"):
        destination.delete(TWO)
    attempts: list[Callable[[], object]] = [
        rig.away.probe,
        rig.away.sweep,
        lambda: list(rig.away.sets()),
        lambda: rig.away.manifest(ONE),
        lambda: read(rig.away, ONE, "store/a.zst"),
        lambda: rig.away.size(ONE, "store/a.zst"),
        lambda: rig.away.delete(ONE),
        lambda: publish(rig.away, ONE),
    ]
    for attempt in attempts:
        with pytest.raises(Unreachable) as caught:
            attempt()
        assert caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["two words", "it's \"quoted\"", "ünïcode ☃", "-rf", "--", "..", ".", ".hidden", "a/b", "%41",
     "CON", "a\\b", "x" * 200],
)  # fmt: skip
def test_set_names_may_be_odd(destination: Destination, name: str) -> None:
    ref = SetRef(name, "20260301T120000Z-000001")
    publish(destination, OTHER, a=b"other")

    publish(destination, ref, a=b"x")

    assert list(destination.sets(name)) == [ref]
    assert read(destination, ref, "store/a.zst") == b"x"
    destination.delete(ref)
    assert list(destination.sets()) == [OTHER]


def test_sets_are_listed_by_name(destination: Destination) -> None:
    for ref in (ONE, TWO, OTHER):
        publish(destination, ref)

    assert set(destination.sets()) == {ONE, TWO, OTHER}
    assert set(destination.sets("nightly")) == {ONE, TWO}
    assert set(destination.sets("night")) == set()


def test_a_deleted_set_is_gone_wholly_and_alone(
    rig: DestinationRig, destination: Destination
) -> None:
    publish(destination, ONE, a=b"x")
    before = rig.stored()
    publish(destination, TWO, a=b"x", b=b"y")
    publish(destination, OTHER, a=b"x")

    destination.delete(TWO)
    destination.delete(OTHER)

    assert rig.stored() == before


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "", "a//b", ".lock", "a\x00"])
def test_names_that_lead_elsewhere_are_refused(destination: Destination, name: str) -> None:
    def create() -> None:
        with destination.write_set(TWO) as writer, writer.create(name) as file:
            file.write(b"x")

    publish(destination, ONE, a=b"x")

    with pytest.raises(InternalError):
        create()
    with pytest.raises(FileNotFoundError):
        read(destination, ONE, name)


def test_two_runs_at_once_do_not_touch_each_other(destination: Destination) -> None:
    meeting = threading.Barrier(2)
    content = {ref: ref.set_id.encode() * 20_000 for ref in (ONE, TWO)}

    def run(ref: SetRef) -> None:
        with destination.write_set(ref) as writer:
            with writer.create("store/a.zst") as file:
                for start in range(0, len(content[ref]), 100_000):
                    meeting.wait(30)
                    file.write(content[ref][start : start + 100_000])
                    destination.sweep()
            meeting.wait(30)
            writer.publish(b"manifest")

    threads = [threading.Thread(target=run, args=(ref,)) for ref in (ONE, TWO)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert {ref: read(destination, ref, "store/a.zst") for ref in destination.sets()} == content


def test_what_a_killed_run_left_is_swept_and_a_living_one_is_not(
    rig: DestinationRig, destination: Destination
) -> None:
    publish(destination, ONE, a=b"older")
    before = rig.stored()

    def half(ready: Callable[[], None]) -> None:
        with rig.connect().write_set(OTHER) as writer:
            with writer.create("store/a.zst") as file:
                file.write(b"done")
            with writer.create("store/b.zst") as file:
                file.write(b"half" * 300_000)
                ready()

    with destination.write_set(TWO) as living:
        with living.create("store/a.zst") as file:
            file.write(b"alive")
        with forked(half):
            assert destination.sweep() == ()
        assert [OTHER.set_id in name for name in destination.sweep()] == [True]
        living.publish(b"manifest")

    assert read(destination, TWO, "store/a.zst") == b"alive"
    destination.delete(TWO)
    assert rig.stored() == before
    assert destination.sweep() == ()


def test_a_whole_set_is_stored_and_judged_good(destination: Destination) -> None:
    stored = store_set(
        destination,
        SigningKey.generate(),
        {"database": b"rows\n" * 100_000, "globals": b"", "blobs": b"x"},
        store="odd 'store' ☃",
    )

    stored.check()
    assert [artifact.role for artifact in stored.record.artifacts] == [
        "database", "globals", "blobs",
    ]  # fmt: skip
