"""Reading ahead changes when things are made, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restoreproof.ahead import read_ahead


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@given(items=st.lists(st.integers() | st.none()), depth=st.integers(1, 5))
def test_the_same_items_in_the_same_order(items: list[int | None], depth: int) -> None:
    with read_ahead(iter(items), depth) as ahead:
        assert list(ahead) == items


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("gone")

    with read_ahead(items(), 5) as ahead:
        assert [next(ahead), next(ahead)] == [1, 2]
        with pytest.raises(OSError, match="gone"):
            next(ahead)


def test_no_more_is_made_than_was_asked_for_and_the_depth() -> None:
    made = 0
    enough = threading.Event()

    def items() -> Iterator[int]:
        nonlocal made
        for number in range(100):
            made += 1
            if made == 5:
                enough.set()
            yield number

    with read_ahead(items(), 3) as ahead:
        assert next(ahead) == 0
        assert enough.wait(10)  # one taken, three waiting, one in hand
        assert next(ahead) == 1
    assert made <= 6


def test_whoever_stops_early_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with read_ahead(items(), 2) as ahead:
        next(ahead)
    assert closed.is_set()
