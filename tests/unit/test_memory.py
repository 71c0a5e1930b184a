"""What the verifier remembers: of each set by itself, and nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_lib.destinations.base import SetRef
from backup_lib.model import Manifest
from backup_lib.services.archive import PublishedSet
from backup_lib.services.memory import Memory, Seen
from restoreproof.errors import Inconclusive

AT = datetime(2026, 3, 1, tzinfo=UTC)
MANIFEST = Manifest("", "20260301T000000Z-000000", 1, AT, AT, 0.0, ())


def published(name: str, sequence: int) -> PublishedSet:
    manifest = replace(MANIFEST, set_name=name, sequence=sequence)
    return PublishedSet(SetRef(name, manifest.set_id), manifest, f"{sequence:064x}", "key")


def sequence(memory: Memory, place: str, name: str) -> int | None:
    seen = memory.seen(place, name)
    return None if seen is None else seen.sequence


def earlier(path: Path, **entries: int) -> Memory:
    """A memory as an earlier version wrote it."""
    seen = {
        key: {"sequence": number, "digest": "d", "at": "2026-03-01T00:00:00.000000Z"}
        for key, number in entries.items()
    }
    path.write_text(json.dumps({"format": 1, "data": {"seen": seen}}))
    return Memory(path)


def test_names_with_a_slash_do_not_share_an_entry(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory.json")
    memory.saw("a/b", published("c", 7), AT)
    assert memory.seen("a", "b/c") is None
    memory.saw("a", published("b/c", 2), AT)
    assert sequence(memory, "a/b", "c") == 7
    assert sequence(memory, "a", "b/c") == 2


def test_what_an_earlier_version_remembered_is_not_lost(tmp_path: Path) -> None:
    memory = earlier(tmp_path / "memory.json", **{"vault/nightly": 5, "a/b/c": 9})
    assert memory.seen("vault", "nightly") == Seen(5, "d", AT)
    memory.saw("vault", published("nightly", 4), AT)
    assert sequence(memory, "vault", "nightly") == 5
    memory.saw("vault", published("nightly", 6), AT)
    assert sequence(memory, "vault", "nightly") == 6
    assert sequence(memory, "a/b", "c") == sequence(memory, "a", "b/c") == 9
    memory.saw("a", published("b/c", 3), AT, replace=True)
    assert sequence(memory, "a", "b/c") == 3
    assert sequence(memory, "a/b", "c") == 9


@pytest.mark.parametrize(
    "data", [{"newest": 3}, {"newest": {"a": []}}, {"newest": {"a": {"b": 1}}}]
)
def test_an_entry_that_is_none_is_inconclusive(tmp_path: Path, data: object) -> None:
    path = tmp_path / "memory.json"
    path.write_text(json.dumps({"format": 1, "data": data}))
    with pytest.raises(Inconclusive, match="what is remembered of b cannot be read"):
        Memory(path).seen("a", "b")


DAMAGES: tuple[dict[str, object], ...] = (
    {"newest": []},
    {"newest": {"vault": "x"}},
    {"newest": {"vault": {"nightly": "x"}}},
    {"newest": {"vault": {"nightly": {"sequence": None, "digest": "d", "at": "x"}}}},
    {"seen": []},
    {"seen": {"vault/nightly": {"sequence": 5}}},
)


@pytest.mark.parametrize("damage", DAMAGES, ids=json.dumps)
def test_what_cannot_be_read_is_told_and_left_as_it_is(
    tmp_path: Path, damage: dict[str, object]
) -> None:
    path = tmp_path / "memory.json"
    path.write_text(json.dumps({"format": 1, "data": damage}))
    before = path.read_bytes()
    with pytest.raises(Inconclusive, match="remembered of nightly cannot be read"):
        Memory(path).seen("vault", "nightly")
    with pytest.raises(Inconclusive, match="remembered of nightly cannot be read"):
        Memory(path).saw("vault", published("nightly", 9), AT)
    assert path.read_bytes() == before


def test_a_number_that_was_written_as_text_is_one(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    entry = {"sequence": "5", "digest": "d", "at": "2026-03-01T00:00:00.000000Z"}
    path.write_text(json.dumps({"format": 1, "data": {"newest": {"vault": {"nightly": entry}}}}))
    memory = Memory(path)
    memory.saw("vault", published("nightly", 4), AT)
    assert sequence(memory, "vault", "nightly") == 5
    memory.saw("vault", published("nightly", 6), AT)
    assert sequence(memory, "vault", "nightly") == 6


@pytest.mark.parametrize("proofs", [[], "x", None, {"key": []}])
def test_proofs_that_cannot_be_read_are_made_anew(tmp_path: Path, proofs: object) -> None:
    path = tmp_path / "memory.json"
    path.write_text(json.dumps({"format": 1, "data": {"proven": proofs}}))
    memory = Memory(path)
    assert memory.proven("key", AT, timedelta(days=1)) is None
    memory.prove("key", AT, (), None)
    assert memory.proven("key", AT, timedelta(days=1)) is not None
