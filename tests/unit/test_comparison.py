from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_lib.comparison import compare
from backup_lib.model import Fingerprint, Item, NotCovered, ProofLevel

AT = datetime(2026, 11, 22, tzinfo=UTC)
TABLE = Item("table", "a", "11", 3)
SEQUENCE = Item("sequence", "s", low=5, high=9)


def of(*items: Item, consistency: str = "snapshot") -> Fingerprint:
    assert consistency in ("snapshot", "bracketed")
    return Fingerprint("m/1", "snapshot" if consistency == "snapshot" else "bracketed", items)


def test_equal_fingerprints_of_one_snapshot_are_an_exact_proof() -> None:
    result = compare(of(TABLE, SEQUENCE), of(TABLE, replace(SEQUENCE, low=7, high=7)), AT)
    assert (result.level, result.equal, result.differences) == (ProofLevel.EXACT, 2, ())
    assert result.proven_share == 1


@pytest.mark.parametrize(
    ("restored", "says"),
    [
        ((), "missing"),
        ((replace(TABLE, digest="12"),), "other content"),
        ((replace(TABLE, count=2),), "had 3 rows at the source and has 2"),
        ((TABLE, Item("table", "b", "22", 1)), "was not at the source"),
    ],
)
def test_every_difference_is_named(restored: tuple[Item, ...], says: str) -> None:
    result = compare(of(TABLE), of(*restored), AT)
    assert result.level is ProofLevel.NONE
    assert says in result.differences[0].what


def test_a_definition_that_differs_is_no_content() -> None:
    view = Item("view query", "public.v", "33")
    (found,) = compare(of(view), of(replace(view, digest="34")), AT).differences
    assert found.what == "is not as it was at the source"


@pytest.mark.parametrize("value", [4, 10])
def test_a_sequence_outside_its_bounds_differs(value: int) -> None:
    restored = replace(SEQUENCE, low=value, high=value)
    assert compare(of(SEQUENCE), of(restored), AT).differences


def test_nothing_to_compare_proves_nothing() -> None:
    assert compare(of(), of(), AT).level is ProofLevel.NONE
    other = replace(of(TABLE), method="m/2")
    result = compare(of(TABLE), other, AT)
    assert result.level is ProofLevel.NONE
    assert "different methods" in result.unproven[0].reason
    empty = replace(TABLE, digest="")
    assert compare(of(empty), of(empty), AT).level is ProofLevel.NONE


@pytest.mark.parametrize("kind", ["functions", "ACL users"])
def test_what_stands_beside_the_data_does_not_prove_data_that_expired(kind: str) -> None:
    fleeting = Item("strings", "db0", "33", 1, expires=AT - timedelta(seconds=1))
    beside = Item(kind, "a", "44", 1)
    result = compare(of(fleeting, beside), of(beside), AT)
    assert (result.level, result.equal, result.differences) == (ProofLevel.NONE, 1, ())
    lasting = Item("hashes", "db0", "55", 1)
    assert compare(of(fleeting, beside, lasting), of(beside, lasting), AT).level == "exact"
    assert compare(of(beside), of(beside), AT).level == "exact"
    altered = replace(beside, digest="45")
    assert compare(of(fleeting, beside), of(altered), AT).differences


def test_what_expired_since_is_counted_and_not_proven() -> None:
    fleeting = Item("keys", "k", "33", 1, expires=AT - timedelta(seconds=1))
    result = compare(of(TABLE, fleeting), of(TABLE), AT)
    assert (result.level, result.equal) == (ProofLevel.EXACT, 1)
    assert result.unproven == (NotCovered("keys", "k", "1 keys expired, not provable"),)


def test_what_the_copy_has_and_may_drop_any_moment_is_no_difference() -> None:
    fleeting = Item("keys", "k", "33", 1, expires=AT - timedelta(seconds=1))
    lasting = replace(fleeting, expires=AT + timedelta(seconds=1))
    assert compare(of(TABLE), of(TABLE, fleeting), AT).differences == ()
    assert compare(of(TABLE), of(TABLE, lasting), AT).differences


def test_a_bracketed_source_is_never_an_exact_proof() -> None:
    source = of(TABLE, consistency="bracketed")
    assert compare(source, of(TABLE), AT).level is ProofLevel.BRACKETED


items = st.lists(
    st.builds(
        Item,
        kind=st.sampled_from(["table", "schema"]),
        name=st.text(max_size=3),
        digest=st.text("0123456789abcdef", min_size=2, max_size=4),
        count=st.integers(0, 9),
    ),
    max_size=6,
    unique_by=lambda item: (item.kind, item.name),
)


@given(items, items)
def test_a_proof_means_equal_items_and_order_does_not_matter(
    left: list[Item], right: list[Item]
) -> None:
    proven = compare(of(*left), of(*right), AT).level is ProofLevel.EXACT
    assert proven == (bool(left) and set(left) == set(right))
