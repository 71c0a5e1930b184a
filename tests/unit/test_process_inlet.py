"""A child's stdin that another thread writes to."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator

import pytest

from restoreproof.errors import Interrupted
from restoreproof.process import (
    Cancellation,
    ChildFailed,
    ChildStalled,
    Inlet,
    ProgramMissing,
    clean_env,
    run,
)
from restoreproof.together import together

pytestmark = pytest.mark.usefixtures("nothing_left", "impatient")

ENV = clean_env()
MIB = 1024 * 1024


@pytest.fixture
def inlet() -> Iterator[Inlet]:
    with Inlet() as made:
        yield made


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def written(inlet: Inlet, data: bytes, *, end: bool = True) -> threading.Thread:
    def write() -> None:
        with memoryview(data) as view:
            inlet.write(view, Cancellation())
        if end:
            inlet.end()

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_all_of_it_arrives(inlet: Inlet) -> None:
    data = bytes(range(256)) * (16 * MIB // 256)
    digest = hashlib.sha256()
    writer = written(inlet, data)
    run(["cat"], env=ENV, stdin=inlet, stdout=digest.update)
    writer.join()
    assert digest.digest() == hashlib.sha256(data).digest()


def test_a_child_that_has_enough_is_no_error_and_nobody_waits_for_it(inlet: Inlet) -> None:
    writer = written(inlet, bytes(16 * MIB))
    taken = bytearray()
    run(["head", "-c", "5"], env=ENV, stdin=inlet, stdout=taken.extend)
    writer.join()
    assert taken == bytes(5)


def test_a_child_that_fails_early_is_the_failure(inlet: Inlet) -> None:
    writer = written(inlet, bytes(16 * MIB))
    with pytest.raises(ChildFailed, match="no such archive"):
        run(shell("head -c 100 >/dev/null; echo no such archive >&2; exit 3"), env=ENV, stdin=inlet)
    writer.join()


def test_a_child_that_never_starts_keeps_no_writer_waiting(inlet: Inlet) -> None:
    writer = written(inlet, bytes(16 * MIB))
    with pytest.raises(ProgramMissing):
        run(["no-such-program"], env=ENV, stdin=inlet)
    writer.join()


def test_a_writer_that_breaks_off_is_not_taken_for_the_end(inlet: Inlet) -> None:
    said = bytearray()

    def write(cancel: Cancellation) -> None:
        with memoryview(b"half of it") as view:
            inlet.write(view, cancel)
        raise OSError("the source is gone")

    def read(cancel: Cancellation) -> None:
        run(
            shell("cat >/dev/null; echo whole"),
            env=ENV,
            stdin=inlet,
            stdout=said.extend,
            cancel=cancel,
        )

    with pytest.raises(OSError, match="the source is gone"):
        together(Cancellation(), {"write": write, "read": read})
    assert not said


def test_a_request_to_stop_frees_the_writer(inlet: Inlet) -> None:
    cancel = Cancellation()
    threading.Timer(0.2, cancel.request).start()
    with memoryview(bytes(16 * MIB)) as view, pytest.raises(Interrupted):
        inlet.write(view, cancel)


def test_a_child_that_stops_reading_is_found(inlet: Inlet) -> None:
    writer = written(inlet, bytes(16 * MIB))
    with pytest.raises(ChildStalled):
        run(shell("sleep 60"), env=ENV, stdin=inlet, stall_timeout=0.5)
    writer.join()


def test_a_child_that_waits_for_its_writer_is_not_stalled(inlet: Inlet) -> None:
    def write_late() -> None:
        time.sleep(1.5)
        inlet.end()

    writer = threading.Thread(target=write_late)
    writer.start()
    run(shell("cat >/dev/null"), env=ENV, stdin=inlet, stall_timeout=0.5)
    writer.join()
