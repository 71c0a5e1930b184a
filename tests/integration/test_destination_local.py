"""Destination ``local`` where the disk fills, the process dies, or links lead elsewhere."""

from __future__ import annotations

import os
import random
import resource
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_lib.destinations.base import MANIFEST_NAME, SET_ID, SetRef
from backup_lib.destinations.local import LocalDestination
from backup_lib.format.pipeline import StoredArtifactSink
from backup_lib.services.run import new_set_id
from backup_lib.work import Work
from restoreproof.clock import SYSTEM_CLOCK
from restoreproof.errors import ConfigError, JudgedBad, NoSpace, Refused, Unreachable
from restoreproof.signing import SigningKey
from tests.harness.destinations import destination, local_path
from tests.harness.forked import run_forked
from tests.harness.sets import store_set

OLDER = SetRef("nightly", "20260228T120000Z-000000")
NEWER = SetRef("nightly", "20260301T120000Z-000001")
NOISE = random.Random(5).randbytes(3 << 20)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "backups"
    root.mkdir()
    return root


def back_up(root: Path, ref: SetRef, content: bytes, reserve: int = 0) -> None:
    with LocalDestination(root, reserve=reserve).write_set(ref) as writer:
        sink = StoredArtifactSink(writer, "orders", Work())
        with sink.open("database.dump", role="database", media_type="x/y") as artifact:
            artifact.write(content)
        writer.publish(b"manifest")


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): b"" if path.is_dir() else path.read_bytes()
        for path in root.rglob("*")
    }


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_leaves_older_sets_and_nothing_else(small_disk: Path) -> None:
    back_up(small_disk, OLDER, b"older" * 1000)
    before = tree(small_disk)

    with pytest.raises(NoSpace) as caught:
        back_up(small_disk, NEWER, NOISE)

    assert int(caught.value.exit_code) == 6
    assert str(small_disk) in caught.value.message or caught.value.hint
    assert tree(small_disk) == before
    back_up(small_disk, NEWER, NOISE[: 1 << 20])  # the room is there again


@pytest.mark.parametrize("limit", [0, 1, 100, 4096, 131_072, 1_000_000, 2 << 20, 3 << 20])
def test_a_file_that_cannot_grow_any_more_is_a_full_disk(root: Path, limit: int) -> None:
    back_up(root, OLDER, b"older")
    before = tree(root)

    def child() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            back_up(root, NEWER, NOISE)
        except NoSpace:
            os._exit(6)

    assert run_forked(child) == 6
    assert tree(root) == before


def test_the_reserve_is_left_alone(root: Path) -> None:
    with pytest.raises(NoSpace, match="left alone") as caught:
        back_up(root, NEWER, b"x", reserve=1 << 60)

    assert caught.value.hint
    assert tree(root) == {}


CALLS = ("mkdir", "open", "write", "fsync", "link", "replace", "rename", "unlink", "utime")


def killed_at(point: int, run: Callable[[], None]) -> int:
    """Run it in a child that dies just before its ``point``-th call to the file system."""

    def child() -> None:
        left = point

        def dying(call: Callable[..., object]) -> Callable[..., object]:
            def wrapper(*args: object, **kwargs: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapper

        for name in CALLS:
            setattr(os, name, dying(getattr(os, name)))
        run()

    return run_forked(child)


def test_killed_at_any_call_it_leaves_a_whole_set_or_none(root: Path) -> None:
    back_up(root, OLDER, b"older")
    before = tree(root)
    outcomes = []
    for point in range(1, 200):
        ended = killed_at(point, lambda: back_up(root, NEWER, b"newer" * 100))
        again = LocalDestination(root, reserve=0)
        again.sweep()
        found = set(again.sets())
        outcomes.append(NEWER in found)
        assert OLDER in found
        if NEWER in found:
            names = {path.name for path in local_path(root, NEWER, ".").rglob("*")}
            assert names == {"orders", "database.dump.zst", MANIFEST_NAME}
            again.delete(NEWER)
        assert tree(root) == before, point
        if ended == 0:
            break

    assert ended == 0
    assert len(outcomes) > 20
    assert outcomes == sorted(outcomes), "published at one point, and from there on"


def test_killed_at_any_call_of_a_removal_the_set_is_whole_or_gone(root: Path) -> None:
    back_up(root, OLDER, b"older")
    before = tree(root)
    for point in range(1, 100):
        back_up(root, NEWER, b"newer")
        whole = tree(root)
        ended = killed_at(point, lambda: LocalDestination(root, reserve=0).delete(NEWER))
        again = LocalDestination(root, reserve=0)
        if NEWER in set(again.sets()):
            assert {**tree(root), **whole} == tree(root)
            again.delete(NEWER)
        again.sweep()
        assert tree(root) == before, point
        if ended == 0:
            break

    assert ended == 0


def test_everything_is_for_its_owner_alone(root: Path) -> None:
    previous = os.umask(0)
    try:
        back_up(root, NEWER, b"x")
    finally:
        os.umask(previous)

    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in root.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_links_are_not_followed_out_of_the_destination(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    back_up(outside, NEWER, b"secret")
    (root / "nightly").symlink_to(outside / "nightly")
    local = LocalDestination(root, reserve=0)

    assert list(local.sets()) == []
    with pytest.raises(Unreachable):
        local.manifest(NEWER)
    with pytest.raises(Unreachable):
        local.delete(NEWER)
    with pytest.raises(Refused, match="symbolic link"):
        back_up(root, OLDER, b"x")
    assert local.sweep() == ()
    assert list(LocalDestination(outside).sets()) == [NEWER]


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_an_artifact_that_is_no_file_is_missing(root: Path, tmp_path: Path, what: str) -> None:
    stored = store_set(LocalDestination(root, reserve=0), SigningKey.generate(), {"d": b"x"})
    path = local_path(root, stored.ref, stored.record.artifacts[0].name)
    path.rename(tmp_path / "original")
    match what:
        case "link":
            path.symlink_to(tmp_path / "original")
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()

    with pytest.raises(JudgedBad, match="is missing"):
        stored.check()


def test_foreign_folders_are_left_alone(root: Path) -> None:
    (root / "lost+found").mkdir()
    (root / "my files" / "folder").mkdir(parents=True)
    (root / "my files" / "folder" / "letter").write_text("dear")
    before = tree(root)

    assert LocalDestination(root, reserve=0).sweep() == ()
    assert tree(root) == before


@pytest.mark.parametrize(
    "name",
    [
        "mysql/2026-11-01/dump.sql",
        "mysql/2026-11-01/.lock",
        "nightly/20260301T120000Z-000002/orders/database.dump.zst",
        ".trash-of-mine/letter",
        ".trash-1000/letter",
    ],
)
def test_what_others_keep_in_the_same_place_is_never_swept(root: Path, name: str) -> None:
    back_up(root, OLDER, b"older")
    path = root / name
    path.parent.mkdir(parents=True)
    path.write_text("")
    (path.parent / "only copy").write_text("of something dear")
    before = tree(root)

    assert LocalDestination(root, reserve=0).sweep() == ()
    assert tree(root) == before
    back_up(root, NEWER, b"newer")
    LocalDestination(root, reserve=0).delete(NEWER)
    assert tree(root) == before


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_what_is_no_lock_and_is_called_so_keeps_nobody_from_a_backup(root: Path, what: str) -> None:
    back_up(root, OLDER, b"older")
    lock = root / OLDER.set_name / OLDER.set_id / ".lock"
    match what:
        case "link":
            lock.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(lock)
        case _:
            lock.mkdir()
    assert LocalDestination(root, reserve=0).sweep() == ()
    assert os.path.lexists(lock)
    back_up(root, NEWER, b"newer")
    assert set(LocalDestination(root, reserve=0).sets()) == {OLDER, NEWER}


def test_the_ids_that_runs_give_are_known_to_the_sweep() -> None:
    assert SET_ID.fullmatch(new_set_id(SYSTEM_CLOCK.now()))


def test_a_destination_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="not a folder"):
        destination("local", {"path": str(tmp_path / "file")})
    with pytest.raises(Unreachable, match="does not exist") as caught:
        back_up(tmp_path / "missing", NEWER, b"x")
    assert "mounted" in caught.value.hint
    assert not (tmp_path / "missing").exists()


def test_sizes_and_relative_paths_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    model = LocalDestination.settings().model_validate({"path": "here", "reserve": "1MiB"})

    assert "GiB free" in LocalDestination.from_settings("x", model, tmp_path).probe()


@pytest.mark.parametrize("level", [3])
def test_memory_does_not_grow_with_the_data(root: Path, level: int) -> None:
    def child() -> None:
        def peak() -> int:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) << 10
            raise AssertionError("no VmHWM")

        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = peak()
        with LocalDestination(root, reserve=0).write_set(NEWER) as writer:
            sink = StoredArtifactSink(writer, "orders", Work(), level=level)
            with sink.open("d", role="d", media_type="x/y") as artifact:
                for _ in range(100):
                    artifact.write(NOISE)  # 300 MiB that do not compress
            writer.publish(b"manifest")
        os._exit(0 if peak() - before < 128 << 20 else 9)

    assert run_forked(child) == 0
