"""Who restores which tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backup_lib.stores.postgres.archive import Entry
from backup_lib.stores.postgres.streams import shares

MIB = 1 << 20


def entries(count: int) -> list[Entry]:
    return [Entry(number, f"TABLE DATA public t{number} o", (), number) for number in range(count)]


def numbers(parts: list[list[Entry]]) -> list[list[int]]:
    return [[entry.dump_id for entry in part] for part in parts]


def test_two_readers_of_four_equal_tables_take_neighbours() -> None:
    sizes = dict.fromkeys(range(4), 100 * MIB)
    assert numbers(shares(entries(4), sizes, 2)) == [[0, 1], [2, 3]]


def test_one_large_table_has_a_reader_of_its_own() -> None:
    assert numbers(shares(entries(3), {2: 900 * MIB, 0: MIB, 1: MIB}, 2)) == [[0, 1], [2]]


def test_tables_of_unknown_size_are_shared_out_too() -> None:
    assert numbers(shares(entries(6), {}, 3)) == [[0, 1], [2, 3], [4, 5]]


@given(st.lists(st.integers(0, 1 << 40), max_size=40), st.integers(1, 8))
def test_every_entry_is_in_exactly_one_part_in_the_order_of_the_archive(
    sizes: list[int], count: int
) -> None:
    parts = shares(entries(len(sizes)), dict(enumerate(sizes)), count)
    assert [entry for part in parts for entry in part] == entries(len(sizes))
    assert len(parts) <= count
    assert all(parts)
