"""Files that exist wholly or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from restoreproof.atomic import durable_file, fsync_folder, make_folder, write_bytes
from restoreproof.errors import NoSpace, Refused, Unreachable

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOT = Path(__file__).parents[2]


def test_a_file_appears_wholly(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    with durable_file(path) as file:
        file.write(b"content")
        assert not path.exists()
        (part,) = tmp_path.iterdir()
        assert (part.name[0], part.suffix) == (".", ".part")

    assert path.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_permissions_are_as_asked_for_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    former = os.umask(0o077)
    try:
        write_bytes(tmp_path / "file", b"", mode)
    finally:
        os.umask(former)

    assert (tmp_path / "file").stat().st_mode & 0o7777 == mode


def test_a_block_that_raises_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    write_bytes(path, b"old")

    def torn() -> None:
        with durable_file(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        torn()

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with durable_file(tmp_path / "x") as file:
            file.write(bytes(1_000_000))
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_exclusive_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    write_bytes(path, b"old", exclusive=True)

    with pytest.raises(Refused, match="there is a file of that name already"):
        write_bytes(path, b"new", exclusive=True)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_exclusive_does_not_follow_or_replace_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Refused):
        write_bytes(tmp_path / "link", b"x", exclusive=True)
    assert not (tmp_path / "elsewhere").exists()


def test_exclusive_works_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    write_bytes(tmp_path / "file", b"old", exclusive=True)
    with pytest.raises(Refused):
        write_bytes(tmp_path / "file", b"new", exclusive=True)

    assert (tmp_path / "file").read_bytes() == b"old"


def test_of_many_that_publish_the_same_name_exactly_one_wins(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from restoreproof.atomic import write_bytes\n"
        "from restoreproof.errors import Refused\n"
        "sys.stdin.read()\n"
        "try: write_bytes(pathlib.Path(sys.argv[1]), sys.argv[2].encode(), exclusive=True)\n"
        "except Refused: sys.exit(4)\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "set"), str(n)],
            stdin=subprocess.PIPE,
            cwd=ROOT,
        )
        for n in range(6)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
    codes = [child.wait() for child in children]

    assert sorted(codes) == [0, 4, 4, 4, 4, 4]
    assert (tmp_path / "set").read_text() == str(codes.index(0))
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("where", ["gone/file", "plain/file"])
def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "plain").touch()

    with pytest.raises(Unreachable, match=r"^a file could not be written: ") as caught:
        write_bytes(tmp_path / where, b"")
    assert "folder exists" in caught.value.hint
    assert str(tmp_path) not in caught.value.message


def test_other_errors_of_the_block_pass_as_they_are(tmp_path: Path) -> None:
    def broken() -> None:
        with durable_file(tmp_path / "x"):
            (tmp_path / "no such file").read_bytes()

    with pytest.raises(FileNotFoundError):
        broken()


def test_the_order_of_calls_is_the_one_that_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(fd: int) -> None:
        calls.append("fsync " + Path(f"/proc/self/fd/{fd}").readlink().suffix)
        real_fsync(fd)

    def replace(self: Path, target: Path) -> Path:
        calls.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_bytes(tmp_path / "file", b"x")

    assert calls == ["fsync .part", "rename", "fsync "]


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b" / "c")

    assert (tmp_path / "a" / "b" / "c").stat().st_mode & 0o777 == 0o700
    (tmp_path / "plain").touch()
    for in_the_way in (tmp_path / "plain", tmp_path / "plain" / "deeper"):
        with pytest.raises(Refused, match="there is a file of that name already"):
            make_folder(in_the_way)


def test_a_folder_can_be_made_durable(tmp_path: Path) -> None:
    fsync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        fsync_folder(tmp_path / "gone")


# --- no room -------------------------------------------------------------------------------------

FILL = """
import json, pathlib, sys
from restoreproof.atomic import durable_file, make_folder, write_bytes
from restoreproof.errors import NoSpace
folder = pathlib.Path(sys.argv[1])
write_bytes(folder / "old", b"old")
told = []
def attempt(path, pieces):
    try:
        with durable_file(path, expected=10_000_000) as file:
            for _ in range(pieces):
                file.write(bytes(4096))
    except NoSpace as error:
        told.append([error.message, error.hint])
attempt(folder / "new", 2500)
attempt(folder / "old", 2500)
attempt(folder / "small", 1)
print(json.dumps([told, sorted(p.name for p in folder.iterdir()), (folder / "old").read_text()]))
"""


def test_a_full_disk_leaves_what_was_there_and_says_how_much_is_missing(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=256k none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    unshared = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount]
    finished = subprocess.run(
        [*unshared, "sh", str(tmp_path), sys.executable, FILL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode == 77 or finished.stderr.startswith("unshare:"):
        pytest.skip("this system lets nobody mount a small disk")

    assert finished.stderr == ""
    told, names, old = json.loads(finished.stdout)
    assert [message for message, _hint in told] == ["the disk is full"] * 2
    assert re.match(r"2\d\d\.0 KiB are free and 9\.5 MiB are needed: ", told[0][1])
    assert (names, old) == (["old", "small"], "old")


def test_a_limit_on_file_size_is_no_room_too(tmp_path: Path) -> None:
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, former[1]))
    try:
        with pytest.raises(NoSpace, match="the limit on file size"):
            write_bytes(tmp_path / "file", bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert list(tmp_path.iterdir()) == []


def test_another_file_of_the_block_may_hit_the_full_disk(tmp_path: Path) -> None:
    def fill() -> None:
        with durable_file(tmp_path / "file") as file, Path("/dev/full").open("wb", 0) as full:
            file.write(b"x")
            full.write(b"x")

    with pytest.raises(NoSpace, match="the disk is full"):
        fill()


def test_killed_at_any_moment_old_or_new_is_there_never_a_mixture(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, itertools; from restoreproof.atomic import write_bytes\n"
        "for n in itertools.count():\n"
        "    write_bytes(pathlib.Path(sys.argv[1]), b'%d ' % n * 20000)\n"
    )
    path = tmp_path / "state"
    for round_ in range(4):
        child = subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=ROOT)
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.013 * round_)
        child.kill()
        child.wait()
        words = path.read_bytes().split()
        assert len(words) == 20000
        assert len(set(words)) == 1
    for part in tmp_path.glob(".*.part"):
        part.unlink()
