"""Nothing of a child stays behind, however it and its own children behave."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from restoreproof.errors import Interrupted, Unreachable
from restoreproof.process import (
    Cancellation,
    ChildFailed,
    ChildStalled,
    clean_env,
    procfs,
    run,
)

pytestmark = pytest.mark.usefixtures("nothing_left", "impatient")

ENV = clean_env()
STUBBORN = "trap '' TERM INT HUP; "


def cancelled_when_it_speaks(script: str) -> None:
    cancel = Cancellation()
    with pytest.raises(Interrupted):
        run(["sh", "-c", script], env=ENV, stdout=lambda _view: cancel.request(), cancel=cancel)


@pytest.mark.parametrize(
    "script",
    [
        STUBBORN + "echo go; while :; do sleep 100; done",
        f'(sh -c "{STUBBORN} while :; do sleep 100; done") & echo go; sleep 100',
        STUBBORN + "sleep 100 & exec >&- 2>&-; sleep 100",
        "echo go; kill -STOP $$",
    ],
    ids=["ignores", "grandchild ignores", "closed its pipes", "stopped"],
)
def test_a_cancelled_child_ends_with_all_it_started(script: str) -> None:
    if "exec" in script:
        script = script.replace("exec", "echo go; exec")
    cancelled_when_it_speaks(script)


def test_a_grandchild_in_a_session_of_its_own_ends_too() -> None:
    cancelled_when_it_speaks("setsid sh -c 'trap \"\" TERM; echo go; sleep 100' & wait")


def test_what_such_a_grandchild_starts_after_the_leader_ended_ends_too() -> None:
    late = 'trap "" TERM; echo go; sleep 0.3; sleep 100 & sleep 100'
    cancelled_when_it_speaks(f"setsid sh -c '{late}' & wait")


def test_what_forks_without_end_is_caught_whole() -> None:
    # each of the chain lives for a moment only, so that there is always one being born
    chain = 'trap "" TERM; echo go; while :; do sh -c ":" & sh -c "sleep 100" & sleep 0.01; done'
    cancelled_when_it_speaks(f"setsid sh -c '{chain}' & wait")


def test_what_an_ended_child_left_running_is_killed() -> None:
    begun = time.monotonic()
    finished = run(["sh", "-c", "sleep 100 >/dev/null 2>&1 & echo done"], env=ENV, stdout=len)

    assert finished.bytes_out == 5
    assert time.monotonic() - begun < 1


def test_pipes_held_open_by_an_orphan_are_given_up() -> None:
    begun = time.monotonic()
    finished = run(["sh", "-c", "sleep 100 & echo done"], env=ENV, stdout=len)

    assert finished.bytes_out == 5
    assert time.monotonic() - begun < 5


def test_what_an_orphan_still_writes_is_not_cut_off() -> None:
    script = "(for n in 1 2 3 4 5 6; do sleep 0.2; echo $n; done) & exit 0"
    taken = bytearray()
    run(["sh", "-c", script], env=ENV, stdout=taken.extend)

    assert taken.split() == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_a_child_that_got_the_interrupt_meant_for_us_is_no_failure() -> None:
    cancel = Cancellation()
    late = threading.Timer(0.05, cancel.request)
    late.start()
    with pytest.raises(Interrupted):
        run(["sh", "-c", "kill -INT $$"], env=ENV, cancel=cancel)
    late.join()
    with pytest.raises(ChildFailed, match="killed by SIGINT"):
        run(["sh", "-c", "kill -INT $$"], env=ENV)


def test_a_second_interrupt_while_ending_kills_at_once() -> None:
    def consume(_view: memoryview) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        raise ValueError

    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(["sh", "-c", STUBBORN + "echo go; sleep 100"], env=ENV, stdout=consume)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def test_an_exit_status_somebody_else_took_is_no_success() -> None:
    former = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(Unreachable, match="how true ended is not known"):
            run(["true"], env=ENV)
    finally:
        signal.signal(signal.SIGCHLD, former)


def test_many_at_once_do_not_disturb_each_other() -> None:
    results: list[int] = []

    def work(n: int) -> None:
        pieces = [bytes([n]) * 100_000] * 5
        taken = bytearray()
        run(["cat"], env=ENV, stdin=pieces, stdout=taken.extend)
        results.append(int(taken == b"".join(pieces)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 12


def test_a_process_name_cannot_confuse_the_reading_of_proc(tmp_path: Path) -> None:
    odd = tmp_path / ") Z 1 1 (x"
    odd.symlink_to(sys.executable)
    taken = bytearray()
    script = (
        "from restoreproof.process import procfs; import os;"
        "s = procfs.stat_of(os.getpid());"
        "print(s.parent == os.getppid(), s.session == os.getsid(0), s.alive)"
    )
    root = str(Path(procfs.__file__).parents[2])
    run([str(odd), "-c", script], env=ENV | {"PYTHONPATH": root}, stdout=taken.extend)

    assert taken == b"True True True\n"


# --- stuck ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "sleep 100",
        "kill -STOP $$",
        "exec >&-; sleep 100",
        "echo last words >&2; " + STUBBORN + "while :; do sleep 100; done",
        "while :; do :; done",
    ],
    ids=["waits", "stopped", "closed stdout", "ignores", "spins with its pipe open"],
)
def test_a_child_without_progress_is_ended(script: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ChildStalled, match=r"sh made no progress for 0\.4 s and was ended"):
        run(["sh", "-c", script], env=ENV, stdout=len, stall_timeout=0.4)

    assert 0.4 <= time.monotonic() - begun < 3


def test_a_stuck_reader_of_stdin_is_ended() -> None:
    with pytest.raises(ChildStalled):
        run(["sleep", "100"], env=ENV, stdin=[bytes(8_000_000)], stall_timeout=0.3)


def test_last_words_stand_in_the_message() -> None:
    with pytest.raises(ChildStalled, match="its last words: waiting for a lock"):
        run(["sh", "-c", "echo waiting for a lock >&2; sleep 100"], env=ENV, stall_timeout=0.3)


@pytest.mark.parametrize(
    "script",
    [
        "for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 0.12; done",
        "for n in 1 2 3 4 5 6 7 8; do echo $n >&2; sleep 0.12; done",
        "exec >&-; end=$(($(date +%s%N) + 960000000)); while [ $(date +%s%N) -lt $end ]; do :;done",
    ],
    ids=["stdout", "stderr", "CPU time"],
)
def test_progress_of_any_kind_keeps_a_slow_child_alive(script: str) -> None:
    finished = run(["sh", "-c", script], env=ENV, stdout=len, stall_timeout=0.6)

    assert finished.seconds > 0.9


def test_progress_elsewhere_keeps_a_waiting_child_alive() -> None:
    beats = iter(range(1000))
    run(["sleep", "0.9"], env=ENV, stall_timeout=0.4, progress=lambda: next(beats))

    with pytest.raises(ChildStalled):
        run(["sleep", "100"], env=ENV, stall_timeout=0.3, progress=lambda: "index 3 of 9")


def test_time_that_our_own_side_takes_is_not_the_childs() -> None:
    def pieces() -> Iterator[bytes]:
        for piece in (b"x", b"y"):
            time.sleep(0.6)
            yield piece

    def slow_consumer(_view: memoryview) -> None:
        time.sleep(0.6)

    finished = run(["cat"], env=ENV, stdin=pieces(), stdout=slow_consumer, stall_timeout=0.3)
    assert finished.bytes_out == 2
