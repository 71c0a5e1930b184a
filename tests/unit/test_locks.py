"""Locks: one holder, and a dead one blocks nobody for long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from restoreproof import locks
from restoreproof.clock import MovableClock
from restoreproof.errors import LockHeld, Unreachable
from restoreproof.locks import LockLost, hold, inspect

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOT = Path(__file__).parents[2]
SHORT = timedelta(seconds=0.3)
TAKER = """
import pathlib, sys, time
from datetime import timedelta
from restoreproof.errors import LockHeld
from restoreproof.locks import hold
path, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    with hold(path, owner="a child", lease=timedelta(seconds=0.3)):
        print("held", flush=True)
        time.sleep(seconds)
except LockHeld:
    print("refused", flush=True)
"""


def taker(path: Path, seconds: float) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", TAKER, str(path), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert said(child) == "ready"
    return child


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.close()


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def done(child: subprocess.Popen[str]) -> None:
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


def take(path: Path) -> None:
    with hold(path, owner="another", lease=SHORT):
        pass


def rewrite(path: Path, **changes: object) -> None:
    """Make the lock look like one of another place, keeping its heartbeat."""
    status = path.stat()
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def left_behind(path: Path, **changes: object) -> None:
    """A lock whose holder was killed; ``changes`` say where it ran."""
    child = taker(path, 100)
    go(child)
    assert said(child) == "held"
    child.kill()
    done(child)
    rewrite(path, **changes)


def test_a_held_lock_names_its_holder_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "set.lock"
    with hold(path, owner="backup of set nightly") as lock:
        lock.check()
        holder = inspect(path)
        assert holder is not None
        assert (holder.owner, holder.pid) == ("backup of set nightly", os.getpid())
        with pytest.raises(LockHeld, match="held by backup of set nightly") as caught:
            take(path)
        assert f"process {os.getpid()} on {holder.host}, since {holder.since:%Y}" in str(
            caught.value
        )
        assert f"{holder.expires:%H:%M}" in caught.value.hint

    assert inspect(path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_released_when_the_block_raises(tmp_path: Path) -> None:
    def broken() -> None:
        with hold(tmp_path / "lock", owner="x"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_of_this_machine_frees_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    left_behind(path, lease=3600.0)

    begun = time.monotonic()
    assert inspect(path) is None
    take(path)
    assert time.monotonic() - begun < 1


def test_a_process_id_used_again_is_not_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    left_behind(path, pid=os.getpid(), lease=3600.0)

    assert inspect(path) is None


def test_a_stopped_holder_still_holds(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = taker(path, 100)
    go(child)
    assert said(child) == "held"
    child.send_signal(signal.SIGSTOP)
    time.sleep(SHORT.total_seconds() * 2)
    try:
        with pytest.raises(LockHeld):
            take(path)
    finally:
        child.kill()
        done(child)
    take(path)


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)])
def test_no_clock_jump_frees_a_living_lock(tmp_path: Path, jump: timedelta) -> None:
    clock = MovableClock(datetime.now(UTC))
    with hold(tmp_path / "lock", owner="x", clock=clock):
        clock.jump(jump)
        assert inspect(tmp_path / "lock", clock=clock) is not None


@pytest.mark.parametrize("place", [{"host": "elsewhere"}, {"boot": "earlier"}, {"namespace": "p"}])
def test_elsewhere_the_lease_decides(tmp_path: Path, place: dict[str, str]) -> None:
    path = tmp_path / "lock"
    left_behind(path, **place, lease=1.0)
    os.utime(path)
    with pytest.raises(LockHeld):
        take(path)

    old = time.time() - 2
    os.utime(path, (old, old))
    take(path)


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_living_holder_elsewhere_keeps_its_lock_whatever_our_clock_says(
    tmp_path: Path, jump: float
) -> None:
    path = tmp_path / "lock"
    left_behind(path, host="elsewhere", lease=0.6)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.1):
            moment = time.time() + jump
            os.utime(path, (moment, moment))

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        time.sleep(0.15)
        assert inspect(path) is not None
        with pytest.raises(LockHeld):
            take(path)
    finally:
        over.set()
        heart.join()


def test_a_dead_record_from_the_future_does_not_block_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    left_behind(path, host="elsewhere", lease=0.3)
    future = time.time() + 10**7
    os.utime(path, (future, future))

    take(path)


def test_a_lock_has_its_name_only_with_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    seen = []

    def killed(_fd: int, _data: bytes) -> int:
        seen.append(path.exists())
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            take(path)
    assert seen == [False]
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_killed_while_it_took_the_lock_left_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / ".lock.part").write_bytes(b"{")
    take(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"token": 1}', b"\xff" * 9000])
def test_an_unreadable_record_is_judged_by_its_age(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock"
    path.write_bytes(content)
    with pytest.raises(LockHeld, match="an unknown run"):
        take(path)


def test_a_stale_unreadable_record_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_WATCH_LIMIT", 0.2)
    path = tmp_path / "lock"
    path.write_bytes(b"")
    os.utime(path, (1, 1))

    take(path)


def test_a_lost_lock_is_noticed_and_the_new_one_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, owner="first") as lost:
        path.unlink()
        with pytest.raises(LockLost):
            lost.check()
        with hold(path, owner="second") as second:
            with pytest.raises(LockLost):
                lost.check()
            second.check()
        path.write_text("somebody else's")

    assert path.read_text() == "somebody else's"


def test_the_heartbeat_renews(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, owner="x", lease=SHORT):
        first = path.stat().st_mtime_ns
        deadline = time.monotonic() + 5
        while path.stat().st_mtime_ns == first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert path.stat().st_mtime_ns > first


@pytest.mark.parametrize("stale", [False, True], ids=["free", "left by a dead one"])
def test_of_many_at_once_exactly_one_wins(tmp_path: Path, stale: bool) -> None:
    path = tmp_path / "lock"
    if stale:
        left_behind(path)
    children = [taker(path, 1.5) for _ in range(8)]
    for child in children:
        go(child)
    answers = sorted(said(child) for child in children)
    for child in children:
        done(child)

    assert answers == ["held"] + ["refused"] * 7
    assert list(tmp_path.iterdir()) == []


def test_of_many_that_take_over_from_elsewhere_exactly_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    left_behind(path, host="elsewhere")
    os.utime(path, (1, 1))
    children = [taker(path, 2.5) for _ in range(6)]
    for child in children:
        go(child)
    answers = sorted(said(child) for child in children)
    for child in children:
        done(child)

    assert answers == ["held"] + ["refused"] * 5


def test_a_folder_that_is_missing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="lock cannot be locked: no such file"):
        take(tmp_path / "gone" / "lock")
    assert inspect(tmp_path / "gone" / "lock") is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_no_lock_and_holds_nobody_up(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "lock")
    with pytest.raises(Unreachable, match="it is no file"):
        inspect(tmp_path / "lock")
    with pytest.raises(Unreachable, match="it is no file"), hold(tmp_path / "lock", owner="me"):
        pass
