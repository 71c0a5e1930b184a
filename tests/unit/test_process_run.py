"""Data through a child, and every way in which that can go wrong."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restoreproof.errors import Interrupted, UsageError
from restoreproof.process import Cancellation, ChildFailed, ProgramMissing, clean_env, run

pytestmark = pytest.mark.usefixtures("nothing_left", "impatient")

ENV = clean_env()
MIB = 1024 * 1024


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(MIB)


def test_data_goes_in_and_comes_out() -> None:
    taken = bytearray()

    finished = run(["cat"], env=ENV, stdin=[b"one ", b"two"], stdout=taken.extend)

    assert bytes(taken) == b"one two"
    assert (finished.bytes_in, finished.bytes_out, finished.returncode) == (7, 7, 0)


@settings(max_examples=15)
@given(pieces=st.lists(st.binary(max_size=200_000), max_size=8))
def test_any_pieces_arrive_in_order(pieces: list[bytes]) -> None:
    digest = hashlib.sha256()
    finished = run(["cat"], env=ENV, stdin=pieces, stdout=digest.update)

    assert digest.digest() == hashlib.sha256(b"".join(pieces)).digest()
    assert finished.bytes_in == finished.bytes_out == sum(map(len, pieces))


def test_a_file_is_a_source(tmp_path: Path) -> None:
    content = os.urandom(3 * MIB + 17)
    (tmp_path / "dump").write_bytes(content)
    from_file, from_memory = hashlib.sha256(), hashlib.sha256()

    with (tmp_path / "dump").open("rb") as file:
        run(["cat"], env=ENV, stdin=file, stdout=from_file.update)
    run(["cat"], env=ENV, stdin=io.BytesIO(content), stdout=from_memory.update)

    expected = hashlib.sha256(content).digest()
    assert (from_file.digest(), from_memory.digest()) == (expected, expected)


def test_what_is_not_fed_and_not_consumed_is_empty_and_thrown_away() -> None:
    finished = run(shell("cat; echo lost"), env=ENV)

    assert (finished.bytes_in, finished.bytes_out) == (0, 0)


def test_memory_does_not_grow_with_the_data() -> None:
    me = psutil.Process()
    run(["head", "-c", "4M", "/dev/zero"], env=ENV, stdout=len)
    before = highest = me.memory_info().rss

    def consume(_view: memoryview) -> None:
        nonlocal highest
        highest = max(highest, me.memory_info().rss)

    pieces = (bytes(MIB) for _ in range(300))
    finished = run(["cat"], env=ENV, stdin=pieces, stdout=consume)

    assert finished.bytes_out == 300 * MIB
    assert highest - before < 16 * MIB


def test_a_kept_view_is_an_error_and_never_other_data() -> None:
    kept: list[memoryview] = []
    run(["echo", "x"], env=ENV, stdout=kept.append)

    with pytest.raises(ValueError, match="released"):
        bytes(kept[0])


def test_nothing_of_our_environment_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    taken = bytearray()
    run(["env"], env=clean_env(EXTRA="given"), stdout=taken.extend)

    names = {line.partition("=")[0] for line in taken.decode().splitlines()}
    assert names <= {"PATH", "TZ", "TMPDIR", "LANG", "LC_ALL", "EXTRA"}
    assert {"PATH", "LANG", "LC_ALL", "EXTRA"} <= names


def test_a_child_leads_its_own_session_so_that_ctrl_c_spares_it() -> None:
    taken = bytearray()
    run(python("import os; print(os.getsid(0) == os.getpid())"), env=ENV, stdout=taken.extend)

    assert taken == b"True\n"


def test_descriptors_are_passed_only_when_asked_for() -> None:
    read, write = os.pipe()
    try:
        write_to_it = python(f"import os; os.write({write}, b'hello')")
        run(write_to_it, env=ENV, pass_fds=[write])
        assert os.read(read, 100) == b"hello"
        with pytest.raises(ChildFailed, match="Bad file descriptor"):
            run(write_to_it, env=ENV)
    finally:
        os.close(read)
        os.close(write)


# --- how children fail ---------------------------------------------------------------------------


def test_a_failure_says_what_the_child_said_and_not_its_arguments() -> None:
    with pytest.raises(ChildFailed) as caught:
        run(shell("echo 'sh: error: no such table' >&2; : s3cret; exit 3"), env=ENV)

    error = caught.value
    assert error.message == "sh ended with exit code 3: no such table"
    assert (error.program, error.returncode, error.signal) == ("sh", 3, None)
    assert "s3cret" not in repr(error) + error.stderr + error.hint


def test_a_title_replaces_the_programs_name() -> None:
    with pytest.raises(ChildFailed, match=r"^the dump ended with exit code 1$"):
        run(["false"], env=ENV, title="the dump")


def test_accepted_exit_codes_are_no_failure() -> None:
    assert run(shell("exit 4"), env=ENV, accept=(0, 4)).returncode == 4


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_child_killed_by_a_signal_says_so(number: signal.Signals) -> None:
    with pytest.raises(ChildFailed, match=f"^sh was killed by {number.name}$") as caught:
        run(shell(f"kill -{number.value} $$"), env=ENV, stdout=len)

    assert caught.value.signal == number
    assert bool(caught.value.hint) == (number == signal.SIGKILL)


def test_a_child_cut_off_while_it_writes_is_a_failure() -> None:
    with pytest.raises(ChildFailed, match="SIGKILL"):
        run(shell("head -c 3000000 /dev/zero; kill -9 $$"), env=ENV, stdout=len)


def test_stdin_closed_early_does_not_hide_what_the_child_says() -> None:
    with pytest.raises(ChildFailed, match="exit code 2: could not connect") as caught:
        run(shell("exec <&-; echo could not connect >&2; exit 2"), env=ENV, stdin=endless())

    assert caught.value.__cause__ is None


def test_a_child_may_leave_input_unread() -> None:
    finished = run(["head", "-c", "10"], env=ENV, stdin=endless(), stdout=len)

    assert finished.bytes_out == 10


def test_huge_stderr_neither_blocks_nor_grows() -> None:
    script = "import sys\nfor n in range(400_000): print(n, 'noise', file=sys.stderr)\nsys.exit(1)"
    with pytest.raises(ChildFailed, match="exit code 1: 399999 noise") as caught:
        run(python(script), env=ENV, stdout=len)

    assert 60_000 < len(caught.value.stderr) <= 65_536


def test_stderr_cannot_drive_a_terminal() -> None:
    with pytest.raises(ChildFailed) as caught:
        run(shell(r"printf 'a\033[31mred\007\377\342\200\256x\r\n' >&2; exit 1"), env=ENV)

    assert caught.value.stderr == "a\ufffd[31mred\ufffd\ufffd\ufffdx\n"


def test_a_missing_program_is_a_usage_error_with_a_hint() -> None:
    with pytest.raises(
        ProgramMissing, match=r"^no-such-program cannot be started: not found$"
    ) as e:
        run(["no-such-program"], env=ENV)

    assert "no-such-program" in e.value.hint


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("data")

    with pytest.raises(ProgramMissing, match="permission denied"):
        run([str(plain)], env=ENV)
    plain.chmod(0o755)
    with pytest.raises(ProgramMissing, match="exec format error"):
        run([str(plain)], env=ENV)


def test_a_missing_folder_is_not_blamed_on_the_program(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its working folder is missing"):
        run(["true"], env=ENV, cwd=tmp_path / "gone")


def test_an_impossible_argument_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="an argument for echo cannot be handed over"):
        run(["echo", "a\0b"], env=ENV)


# --- our own side fails --------------------------------------------------------------------------


class Broken(Exception):
    pass


def test_a_consumer_that_raises_ends_the_child() -> None:
    def consume(_view: memoryview) -> None:
        raise Broken

    begun = time.monotonic()
    with pytest.raises(Broken):
        run(["yes"], env=ENV, stdout=consume)
    assert time.monotonic() - begun < 3


def test_a_source_that_raises_ends_the_child() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"begun"
        raise Broken

    with pytest.raises(Broken):
        run(["sleep", "100"], env=ENV, stdin=pieces())


def test_a_broken_off_input_never_looks_complete(tmp_path: Path) -> None:
    """A child that commits at the end of its input must not see one when the source fails."""
    mark = tmp_path / "committed"

    def pieces() -> Iterator[bytes]:
        yield b"begin; insert"
        raise Broken

    with pytest.raises(Broken):
        run(shell(f"trap '' TERM; cat >/dev/null && touch {mark}"), env=ENV, stdin=pieces())
    assert not mark.exists()


def test_a_generator_is_closed_in_the_thread_that_ran_it() -> None:
    where: list[str] = []

    def pieces() -> Iterator[bytes]:
        try:
            yield from endless()
        finally:
            where.append(threading.current_thread().name)

    run(["head", "-c", "1"], env=ENV, stdin=pieces(), stdout=len)
    assert where == ["stdin of head"]


# --- interrupted ---------------------------------------------------------------------------------


def test_a_cancellation_ends_the_child_within_a_moment() -> None:
    cancel = Cancellation()
    timer = threading.Timer(0.2, cancel.request)
    timer.start()
    begun = time.monotonic()

    with pytest.raises(Interrupted):
        run(shell("sleep 100"), env=ENV, cancel=cancel)

    assert time.monotonic() - begun < 2
    timer.join()


def test_a_cancellation_ends_a_child_that_moves_data() -> None:
    cancel = Cancellation()

    def consume(_view: memoryview) -> None:
        cancel.request()

    with pytest.raises(Interrupted):
        run(["cat"], env=ENV, stdin=endless(), stdout=consume, cancel=cancel)


def test_nothing_is_started_when_it_was_cancelled_before(tmp_path: Path) -> None:
    cancel = Cancellation()
    cancel.request()

    with pytest.raises(Interrupted):
        run(["touch", str(tmp_path / "x")], env=ENV, cancel=cancel)
    assert list(tmp_path.iterdir()) == []


def test_a_child_may_clean_up_when_it_is_ended(tmp_path: Path) -> None:
    script = (
        f"trap 'echo bye >&2; touch {tmp_path}/cleaned; exit 1' TERM; echo go; sleep 100 & wait"
    )
    cancel = Cancellation()

    with pytest.raises(Interrupted):
        run(shell(script), env=ENV, stdout=lambda _view: cancel.request(), cancel=cancel)
    assert (tmp_path / "cleaned").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of others")
@pytest.mark.parametrize("limit", [0, 256 * MIB])
def test_a_child_has_no_more_memory_than_it_is_given(limit: int) -> None:
    greedy = python("import sys; sys.stdin.read(); bytearray(1 << 30)")
    finished = run(greedy, env=ENV, stdin=[b"go"], memory=limit, accept=(0, 1))
    assert ("MemoryError" in finished.stderr) is bool(limit)
