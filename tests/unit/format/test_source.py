from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import pytest
import zstandard

from backup_lib.destinations.base import SetRef
from backup_lib.destinations.local import LocalDestination
from backup_lib.format.integrity import check_artifact
from backup_lib.format.pipeline import MAX_LEVEL, StoredArtifactSink
from backup_lib.format.source import StoredArtifactSource
from backup_lib.model import Artifact, StoreRecord
from backup_lib.work import Work
from restoreproof.errors import InternalError, Interrupted, JudgedBad, NoSpace, Unreachable
from restoreproof.process import Cancellation
from restoreproof.signing import SigningKey
from tests.harness.destinations import local_path
from tests.harness.sets import StoredSet, a_backup, store_set

CONTENT = random.Random(3).randbytes(1_500_000) + b"row\n" * 600_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "backups"
    root.mkdir()
    return root


@pytest.fixture
def stored(root: Path) -> StoredSet:
    return store_set(
        LocalDestination(root, reserve=0),
        SigningKey.generate(),
        {"database": CONTENT, "empty": b"", "small": b"abc"},
    )


def source(stored: StoredSet, cancel: Cancellation | None = None) -> StoredArtifactSource:
    return StoredArtifactSource(stored.destination, stored.ref, stored.record, cancel)


def path_of(root: Path, stored: StoredSet, role: str = "database") -> Path:
    (name,) = (a.name for a in stored.record.artifacts if a.role == role)
    return local_path(root, stored.ref, name)


def forged(stored: StoredSet, frame: bytes, plain_size: int, root: Path) -> StoredSet:
    """A set whose signed manifest vouches for ``frame``: only unpacking can find fault with it."""
    path_of(root, stored).write_bytes(frame)
    digest = hashlib.sha256(frame).hexdigest()
    artifact = replace(
        stored.record.artifacts[0], size=len(frame), sha256=digest, plain_size=plain_size
    )
    record = replace(stored.record, artifacts=(artifact,))
    manifest = replace(stored.signed.manifest, stores=(record,))
    return replace(stored, signed=replace(stored.signed, manifest=manifest))


@pytest.mark.parametrize("step", [-1, 1000, 65536, 10_000_000])
def test_what_was_stored_is_read(stored: StoredSet, step: int) -> None:
    with source(stored).open("database") as stream:
        pieces = list(iter(lambda: stream.read(step), b""))
    assert b"".join(pieces) == CONTENT
    for role, content in (("empty", b""), ("small", b"abc")):
        with source(stored).open(role) as stream:
            assert stream.read() == content


def test_a_role_that_is_not_there_is_a_fault_of_the_caller(stored: StoredSet) -> None:
    with pytest.raises(InternalError, match="'nothing'"), source(stored).open("nothing"):
        pass


def test_a_staged_artifact_is_a_private_file_of_the_plain_bytes(
    stored: StoredSet, tmp_path: Path
) -> None:
    path = source(stored).stage("database", tmp_path)

    assert path.parent == tmp_path
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("where", [0.0, 0.000003, 0.1, 0.5, 0.9, 0.999999])
def test_a_flipped_bit_is_told_before_the_last_byte_is_handed_out(
    stored: StoredSet, root: Path, tmp_path: Path, where: float
) -> None:
    path = path_of(root, stored)
    damaged = bytearray(path.read_bytes())
    damaged[int(where * len(damaged))] ^= 16
    path.write_bytes(damaged)
    handed_out = 0

    def read_no_more_than_expected() -> None:
        nonlocal handed_out
        with source(stored).open("database") as stream:
            while handed_out < len(CONTENT):
                handed_out += len(stream.read(min(50_000, len(CONTENT) - handed_out)))

    with pytest.raises(JudgedBad):
        read_no_more_than_expected()
    assert handed_out < len(CONTENT)
    with pytest.raises(JudgedBad):
        source(stored).stage("database", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["backups"]


@pytest.mark.parametrize("role", ["database", "empty", "small"])
def test_cuts_and_trailing_bytes_are_told(
    stored: StoredSet, root: Path, tmp_path: Path, role: str
) -> None:
    path = path_of(root, stored, role)
    original = path.read_bytes()
    for damaged in (b"", original[:-1], original[: len(original) // 2], original + b"\0"):
        path.write_bytes(damaged)
        with pytest.raises(JudgedBad):
            source(stored).stage(role, tmp_path)


def test_a_bomb_is_stopped_at_the_size_that_was_signed(
    stored: StoredSet, root: Path, tmp_path: Path
) -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 30))
    assert len(bomb) < 200_000
    bad = forged(stored, bomb, 1000, root)

    with pytest.raises(JudgedBad, match="unpacks to more than its 1000 bytes"):
        source(bad).stage("database", tmp_path)

    assert [p.name for p in tmp_path.iterdir()] == ["backups"]


@pytest.mark.parametrize(
    ("frame", "plain_size", "message"),
    [
        (zstandard.compress(b"abc"), 4, "unpacks to 3 bytes instead of 4"),
        (zstandard.compress(b"abc"), 2, "unpacks to more than its 2 bytes"),
        (zstandard.compress(b"abc")[:-1], 3, "unpack"),
        (b"no zstd at all", 14, "cannot be unpacked"),
    ],
    ids=["too few", "too many", "cut frame", "no frame"],
)
def test_bytes_rightly_signed_and_wrongly_made_are_told_too(
    stored: StoredSet, root: Path, tmp_path: Path, frame: bytes, plain_size: int, message: str
) -> None:
    with pytest.raises(JudgedBad, match=message):
        source(forged(stored, frame, plain_size, root)).stage("database", tmp_path)


def test_a_window_that_takes_much_memory_is_refused(
    stored: StoredSet, root: Path, tmp_path: Path
) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    wide = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = wide.compress(CONTENT) + wide.flush()

    with pytest.raises(JudgedBad, match="cannot be unpacked"):
        source(forged(stored, frame, len(CONTENT), root)).stage("database", tmp_path)


def test_the_largest_window_that_is_written_is_read(root: Path) -> None:

    destination, ref = LocalDestination(root, reserve=0), SetRef("nightly", "x")
    with destination.write_set(ref) as writer:
        sink = StoredArtifactSink(writer, "orders", Work(), level=MAX_LEVEL)
        with sink.open("d", role="database", media_type="x/y") as artifact:
            artifact.write(CONTENT)
        writer.publish(b"")
    (artifact_record,) = sink.artifacts
    check_artifact(destination, ref, artifact_record, Work())
    record = replace(a_record(), artifacts=(artifact_record,))

    with StoredArtifactSource(destination, ref, record).open("database") as stream:
        assert stream.read() == CONTENT


def a_record() -> StoreRecord:

    return StoreRecord("orders", "postgres", a_backup(), ())


class _Breaking(LocalDestination):
    """The real destination, whose disk fails after some bytes."""

    @contextmanager
    def open(self, ref: SetRef, name: str) -> Iterator[BinaryIO]:
        with super().open(ref, name) as file:

            class Reader:
                left = 1_000_000

                def read(self, size: int) -> bytes:
                    self.left -= size
                    if self.left < 0:
                        raise OSError(5, "Input/output error")
                    return file.read(size)

            yield cast("BinaryIO", Reader())


def test_a_disk_that_fails_says_nothing_about_the_backup(
    stored: StoredSet, root: Path, tmp_path: Path
) -> None:
    breaking = replace(stored, destination=_Breaking(root, reserve=0))
    artifact = stored.record.artifacts[0]

    with pytest.raises(Unreachable, match="Input/output error"):
        source(breaking).stage("database", tmp_path)
    with pytest.raises(Unreachable, match="Input/output error"):
        check_artifact(breaking.destination, stored.ref, artifact, Work())
    assert [p.name for p in tmp_path.iterdir()] == ["backups"]


def test_a_set_pruned_meanwhile_is_gone_and_not_bad(stored: StoredSet, tmp_path: Path) -> None:
    stored.destination.delete(stored.ref)

    with pytest.raises(Unreachable, match="no set"):
        source(stored).stage("database", tmp_path)


def test_staging_looks_for_room_first(stored: StoredSet, tmp_path: Path) -> None:
    huge = replace(stored.record.artifacts[0], plain_size=1 << 60)
    record = replace(stored.record, artifacts=(huge,))
    wanting = StoredArtifactSource(stored.destination, stored.ref, record)

    with pytest.raises(NoSpace, match="free") as caught:
        wanting.stage("database", tmp_path)

    assert caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["backups"]


def test_a_folder_that_is_not_there_is_told(stored: StoredSet, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cannot be written"):
        source(stored).stage("database", tmp_path / "missing")


def test_reading_can_be_cancelled(stored: StoredSet, tmp_path: Path) -> None:
    cancel = Cancellation()
    cancel.request()

    with pytest.raises(Interrupted):
        source(stored, cancel).stage("database", tmp_path)
    with pytest.raises(Interrupted):
        check_artifact(
            stored.destination, stored.ref, stored.record.artifacts[0], Work(cancel=cancel)
        )
    assert [p.name for p in tmp_path.iterdir()] == ["backups"]


def test_an_artifact_stored_without_compression_is_read(root: Path, tmp_path: Path) -> None:
    destination, ref = LocalDestination(root, reserve=0), SetRef("nightly", "x")
    with destination.write_set(ref) as writer:
        with writer.create("orders/plain") as file:
            file.write(b"plain")
        writer.publish(b"")
    digest = hashlib.sha256(b"plain").hexdigest()
    artifact = Artifact("orders/plain", "plain", "x/y", 5, digest, 5, "")
    record = replace(a_record(), artifacts=(artifact,))

    assert (
        StoredArtifactSource(destination, ref, record).stage("plain", tmp_path).read_bytes()
        == b"plain"
    )


@pytest.mark.skipif(not shutil.which("zstd"), reason="the command zstd is not installed")
def test_artifacts_can_be_read_by_hand(stored: StoredSet, root: Path) -> None:

    done = subprocess.run(
        ["zstd", "-d", "-c", os.fspath(path_of(root, stored))], capture_output=True, check=True
    )

    assert done.stdout == CONTENT
