"""Several pieces of work at once."""

from __future__ import annotations

import threading
import time

import pytest

from restoreproof.errors import Interrupted, Unreachable
from restoreproof.process import Cancellation
from restoreproof.together import LinkedCancellation, together


def _until_cancelled(cancel: Cancellation) -> None:
    while True:
        cancel.check()
        time.sleep(0.01)


def _fail(_cancel: Cancellation) -> None:
    raise Unreachable("the first failure")


def test_what_each_piece_returns_is_handed_back_by_name() -> None:
    done = together(Cancellation(), {"one": lambda _cancel: 1, "two": lambda _cancel: 2})
    assert done == {"one": 1, "two": 2}


def test_the_first_failure_stops_the_others_and_is_the_one_raised() -> None:
    threads = threading.active_count()
    with pytest.raises(Unreachable, match="the first failure"):
        together(Cancellation(), {"endless": _until_cancelled, "failing": _fail})
    assert threading.active_count() == threads


def test_a_request_from_outside_stops_all() -> None:
    cancel = Cancellation()
    threading.Timer(0.05, cancel.request).start()
    with pytest.raises(Interrupted):
        together(cancel, {"one": _until_cancelled, "two": _until_cancelled})


def test_a_linked_cancellation_does_not_reach_its_parent() -> None:
    parent = Cancellation()
    linked = LinkedCancellation(parent)
    linked.request()
    assert not parent.requested
    other = LinkedCancellation(parent)
    parent.request()
    assert other.requested
