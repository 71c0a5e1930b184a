from __future__ import annotations

import hashlib
import io
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from backup_lib.destinations.local import LocalDestination
from backup_lib.format.pipeline import BLOCK, StoredArtifactSink
from backup_lib.work import Work
from restoreproof.errors import InternalError, Interrupted, NoSpace, Unreachable
from restoreproof.process import Cancellation
from tests.contracts.test_destinations import ONE


class Memory:
    """A set writer in memory, for faults that a real destination cannot be made to have."""

    def __init__(self, stream: io.RawIOBase | io.BytesIO | None = None) -> None:
        self.stream = stream or io.BytesIO()
        self.stored: dict[str, bytes] = {}

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        yield cast("BinaryIO", self.stream)
        assert isinstance(self.stream, io.BytesIO)
        self.stored[name] = self.stream.getvalue()

    def publish(self, manifest: bytes) -> None:
        self.stored["manifest"] = manifest


class Failing(io.RawIOBase):
    def __init__(self, after: int, error: Exception) -> None:
        self._left = after
        self._error = error

    def write(self, data: object) -> int:
        size = len(cast("bytes", data))
        self._left -= size
        if self._left < 0:
            raise self._error
        return size


class Slow(io.BytesIO):
    def __init__(self, gate: threading.Event) -> None:
        super().__init__()
        self._gate = gate

    def write(self, data: object) -> int:
        self._gate.wait(30)
        return len(cast("bytes", data))


@given(st.lists(st.binary(max_size=2000), max_size=8), st.sampled_from([1, 3, 12, 19]))
def test_what_is_stored_is_one_zstd_frame_of_what_was_written(
    pieces: list[bytes], level: int
) -> None:
    memory = Memory()
    sink = StoredArtifactSink(memory, "orders", Work(), level=level)
    with sink.open("database.dump", role="database", media_type="x/y") as artifact:
        for piece in pieces:
            artifact.write(memoryview(piece))

    (record,) = sink.artifacts
    stored = memory.stored["orders/database.dump.zst"]
    frame = zstandard.get_frame_parameters(stored)
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    assert decompressor.decompress(stored) == b"".join(pieces)
    assert decompressor.unused_data == b""
    assert frame.has_checksum
    assert (record.name, record.role) == ("orders/database.dump.zst", "database")
    assert record.size == len(stored)
    assert record.sha256 == hashlib.sha256(stored).hexdigest()
    assert record.plain_size == sum(map(len, pieces))


def test_large_writes_and_odd_buffers_are_taken() -> None:
    memory = Memory()
    sink = StoredArtifactSink(memory, "orders", Work())
    data = bytes(range(256)) * 30_000
    with sink.open("d", role="d", media_type="x/y") as artifact:
        artifact.write(data)
        artifact.write(memoryview(bytearray(data)).cast("I"))

    plain = zstandard.ZstdDecompressor().decompressobj().decompress(memory.stored["orders/d.zst"])
    assert plain == data * 2


def test_names_of_stores_and_artifacts_are_stored_safely() -> None:
    memory = Memory()
    sink = StoredArtifactSink(memory, '-or"ders ☃', Work())
    with sink.open("dump/toc.dat", role="toc", media_type="x/y"):
        pass

    assert list(memory.stored) == ["%2Dor%22ders%20%E2%98%83/dump/toc.dat.zst"]


def test_an_artifact_is_opened_once() -> None:
    sink = StoredArtifactSink(Memory(), "orders", Work())

    def twice() -> None:
        for _ in range(2):
            with sink.open("d", role="d", media_type="x/y"):
                pass

    with pytest.raises(InternalError, match="twice"):
        twice()


def test_artifacts_come_in_the_order_in_which_they_were_opened(tmp_path: Path) -> None:
    with LocalDestination(tmp_path, reserve=0).write_set(ONE) as writer:
        sink = StoredArtifactSink(writer, "orders", Work())
        with sink.open("z", role="z", media_type="x/y") as outer:
            with sink.open("a", role="a", media_type="x/y") as inner:
                inner.write(b"x")
            outer.write(b"y")

        assert [artifact.role for artifact in sink.artifacts] == ["z", "a"]


def test_progress_is_told_in_plain_bytes_and_not_too_often() -> None:
    told: list[int] = []
    sink = StoredArtifactSink(Memory(), "orders", Work(), progress=told.append)
    for name in "ab":
        with sink.open(name, role=name, media_type="x/y") as artifact:
            for _ in range(100):
                artifact.write(bytes(100_000))

    assert told == sorted(set(told))
    assert 2 <= len(told) <= 5
    assert 16_000_000 <= told[-1] <= 20_000_000


@pytest.mark.parametrize("level", [0, 20, -1])
def test_levels_that_there_are_not_are_refused(level: int) -> None:
    with pytest.raises(ValueError, match="1 to 19"):
        StoredArtifactSink(Memory(), "orders", Work(), level=level)


NOISE = random.Random(1).randbytes(3 * BLOCK)


@pytest.mark.parametrize("after", [0, 1, 100_000, BLOCK, 4 * BLOCK])
@pytest.mark.parametrize(
    "error", [NoSpace("full"), Unreachable("away"), OSError(5, "Input/output error")]
)
def test_a_destination_that_breaks_off_ends_the_dump_with_its_own_error(
    after: int, error: Exception
) -> None:
    memory = Memory(Failing(after, error))
    sink = StoredArtifactSink(memory, "orders", Work())

    def dump() -> None:
        with sink.open("d", role="d", media_type="x/y") as artifact:
            for _ in range(50):
                artifact.write(NOISE)

    with pytest.raises(type(error)) as caught:
        dump()

    assert caught.value is error
    assert memory.stored == {}
    assert sink.artifacts == ()


def test_of_two_errors_the_first_one_surfaces() -> None:
    full = NoSpace("full")
    sink = StoredArtifactSink(Memory(Failing(0, full)), "orders", Work())

    def dump() -> None:
        with sink.open("d", role="d", media_type="x/y") as artifact:
            try:
                for _ in range(50):
                    artifact.write(NOISE)
            except NoSpace:
                raise Unreachable("pg_dump ended: broken pipe") from None

    with pytest.raises(NoSpace) as caught:
        dump()

    assert caught.value is full


def test_the_sources_own_error_surfaces_and_nothing_is_stored() -> None:
    memory = Memory()
    sink = StoredArtifactSink(memory, "orders", Work())

    def dump() -> None:
        with sink.open("d", role="d", media_type="x/y") as artifact:
            artifact.write(b"half")
            raise Unreachable("pg_dump was killed")

    with pytest.raises(Unreachable, match="pg_dump was killed"):
        dump()

    assert memory.stored == {}
    assert sink.artifacts == ()


def test_a_source_that_swallows_an_error_gets_nothing_stored() -> None:
    sink = StoredArtifactSink(Memory(Failing(0, NoSpace("full"))), "orders", Work())

    def dump() -> None:
        with sink.open("d", role="d", media_type="x/y") as artifact:
            for _ in range(50):
                try:
                    artifact.write(NOISE)
                except NoSpace:
                    continue

    with pytest.raises(NoSpace):
        dump()

    assert sink.artifacts == ()


def test_a_compressor_that_dies_gets_nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying:
        calls = 0

        def compress(self, data: memoryview) -> Iterator[bytes]:
            self.calls += 1
            if self.calls == 3:
                raise zstandard.ZstdError("allocation error: not enough memory")
            yield bytes(data)

        def finish(self) -> Iterator[bytes]:
            return iter(())

    class Compressor:
        def chunker(self, chunk_size: int) -> Dying:
            assert chunk_size == BLOCK
            return Dying()

    monkeypatch.setattr(StoredArtifactSink, "_compressor", lambda _self: Compressor())
    memory = Memory()
    sink = StoredArtifactSink(memory, "orders", Work())

    def dump() -> None:
        with sink.open("d", role="d", media_type="x/y") as artifact:
            for _ in range(5):
                artifact.write(b"x" * 1000)

    with pytest.raises(InternalError, match=r"compressing orders/d\.zst failed"):
        dump()

    assert memory.stored == {}


def test_a_slow_destination_holds_the_source_back() -> None:
    gate = threading.Event()
    sink = StoredArtifactSink(Memory(Slow(gate)), "orders", Work())
    taken = 0

    def dump() -> None:
        nonlocal taken
        with sink.open("d", role="d", media_type="x/y") as artifact:
            for start in range(0, 64 * len(NOISE), BLOCK):
                artifact.write(NOISE[start % len(NOISE) :][:BLOCK])
                taken += BLOCK

    thread = threading.Thread(target=dump)
    thread.start()
    before = -1
    while before != taken:  # until it stands still
        before = taken
        time.sleep(0.5)
    stuck_at = taken
    gate.set()
    thread.join(60)

    assert 0 < stuck_at <= 40 * BLOCK
    assert taken == 64 * 3 * BLOCK


def test_a_run_that_waits_for_a_slow_destination_can_be_cancelled() -> None:
    gate = threading.Event()
    cancel = Cancellation()
    sink = StoredArtifactSink(Memory(Slow(gate)), "orders", Work(cancel=cancel))
    threading.Timer(0.3, cancel.request).start()
    threading.Timer(0.6, gate.set).start()

    def dump() -> None:
        with sink.open("d", role="d", media_type="x/y") as artifact:
            while True:
                artifact.write(NOISE)

    with pytest.raises(Interrupted):
        dump()


def test_no_thread_is_left_whatever_happens() -> None:
    before = threading.active_count()
    for stream in (io.BytesIO(), Failing(0, NoSpace("full"))):
        sink = StoredArtifactSink(Memory(stream), "orders", Work())
        try:
            with sink.open("d", role="d", media_type="x/y") as artifact:
                artifact.write(NOISE)
        except NoSpace:
            pass

    assert threading.active_count() == before
