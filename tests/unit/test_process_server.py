"""Servers, short commands, and signals that ask us to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from restoreproof.errors import UsageError
from restoreproof.process import (
    Cancellation,
    ChildFailed,
    ChildStalled,
    ProgramMissing,
    cancel_on_signals,
    clean_env,
    output,
    start,
)

pytestmark = pytest.mark.usefixtures("nothing_left", "impatient")

ENV = clean_env()


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- servers -------------------------------------------------------------------------------------


def test_a_server_runs_until_its_block_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with start(shell("echo ready; echo also >&2; exec sleep 100"), env=ENV, log=log) as server:
        wait_for(log, "also")
        assert server.poll() is None
        assert server.wait(0.01) is None
        assert os.getsid(server.pid) == server.pid

    assert server.poll() == -signal.SIGTERM
    assert server.log_tail() == "ready\nalso\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_server_is_asked_with_the_signal_it_wants(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "trap 'echo fast; exit 7' INT; echo ready; while :; do sleep 0.02; done"
    with start(shell(script), env=ENV, log=log, stop_signal=signal.SIGINT) as server:
        wait_for(log, "ready")

    assert server.poll() == 7
    assert "fast" in server.log_tail()


def test_a_server_that_ignores_everything_is_killed_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo ready; sleep 100' & wait; sleep 100"
    with start(shell(script), env=ENV, log=log, grace=0.2) as server:
        wait_for(log, "ready")

    assert server.poll() == -signal.SIGKILL


def test_a_server_is_stopped_when_the_block_raises(tmp_path: Path) -> None:
    def broken() -> None:
        with start(["sleep", "100"], env=ENV, log=tmp_path / "log"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()


def test_a_server_that_dies_is_noticed_and_its_children_end(tmp_path: Path) -> None:
    with start(shell("sleep 100 & exit 3"), env=ENV, log=tmp_path / "log") as server:
        assert server.wait(5) == 3
        assert server.stop() == 3


def test_a_server_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ProgramMissing, match="not found"),
        start(["no-such-server"], env=ENV, log=tmp_path / "log"),
    ):
        pass


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old line\n" * 100_000)
    with start(shell("echo new line"), env=ENV, log=log) as server:
        server.wait(5)

    assert server.log_tail().endswith("old line\nnew line\n")
    assert server.log_tail().startswith("old line\n")
    assert 60_000 < len(server.log_tail()) <= 65_536


# --- short commands ------------------------------------------------------------------------------


def test_a_short_command_answers() -> None:
    assert output(["printf", "%s|", "*", "-x", "a b", "", "ü"], env=ENV) == "*|-x|a b||ü|"
    assert output(["cat"], env=ENV, stdin="given ü") == "given ü"
    assert output(["cat"], env=ENV) == ""
    assert output(["pwd"], env=ENV, cwd=Path("/")) == "/\n"
    assert len(output(["head", "-c", "300000", "/dev/zero"], env=ENV)) == 300_000


def test_a_short_command_inherits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")

    assert "hunter2" not in output(["env"], env=ENV)


def test_a_short_command_that_fails_shows_no_arguments(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ChildFailed, match=r"^sh ended with exit code 3: went wrong$") as caught:
        output(shell("echo went wrong >&2; exit 3 # s3cret"), env=ENV)

    error = caught.value
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert "s3cret" not in repr(error) + error.stderr + error.hint + caplog.text
    assert output(shell("echo x; exit 3"), env=ENV, accept=(3,)) == "x\n"


def test_a_short_command_killed_says_so() -> None:
    with pytest.raises(ChildFailed, match=r"^sh was killed by SIGSEGV$"):
        output(shell("kill -SEGV $$"), env=ENV)


def test_a_short_command_has_a_limit_on_its_time_with_all_it_starts() -> None:
    begun = time.monotonic()
    with pytest.raises(ChildStalled, match=r"no progress for 0\.2 s.*last words: asking"):
        output(shell("echo asking >&2; sleep 100 & sleep 100"), env=ENV, timeout=0.2)

    assert time.monotonic() - begun < 3


def test_what_a_short_command_leaves_running_is_killed() -> None:
    assert output(shell("sleep 100 >/dev/null 2>&1 & echo x"), env=ENV) == "x\n"


def test_a_short_command_that_cannot_start_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match=r"^no-such-program cannot be started: not found$"):
        output(["no-such-program"], env=ENV)
    with pytest.raises(UsageError, match="its working folder is missing"):
        output(["true"], env=ENV, cwd=tmp_path / "gone")
    broken = tmp_path / "broken"
    broken.write_text("no program")
    broken.chmod(0o755)
    with pytest.raises(ProgramMissing, match="not a program for this system"):
        output([str(broken)], env=ENV)
    broken.write_text("#!/no/such/interpreter -x\n")
    with pytest.raises(ProgramMissing, match="its interpreter is not there"):
        output([str(broken)], env=ENV)
    with pytest.raises(UsageError, match="an argument for echo cannot be handed over"):
        output(["echo", "a\0b"], env=ENV)


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_requests_the_cancellation(number: signal.Signals) -> None:
    cancel = Cancellation()
    # whatever the tests were started with: under nohup a hang-up is ignored
    before = signal.signal(number, signal.default_int_handler)
    try:
        with cancel_on_signals(cancel):
            signal.raise_signal(number)
            assert cancel.requested
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_the_second_ctrl_c_interrupts_at_once_and_a_second_sigterm_does_not() -> None:
    cancel = Cancellation()
    with cancel_on_signals(cancel):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_stays_so() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        cancel = Cancellation()
        with cancel_on_signals(cancel):
            signal.raise_signal(signal.SIGHUP)
        assert not cancel.requested
    finally:
        signal.signal(signal.SIGHUP, former)


def test_another_thread_leaves_signals_alone() -> None:
    former = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with cancel_on_signals(Cancellation()):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [former]
