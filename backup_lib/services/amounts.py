"""How much came out of a restore, in the words of its store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from backup_lib.model import Fingerprint, Item

_LARGE_OBJECTS = "large-objects"
_VALKEY = frozenset({"valkey", "valkey-aof"})
"""Methods of fingerprints, without their version."""

_NO_KEYS = frozenset({"functions", "hash fields", "ACL users"})
"""Kinds of items of Valkey that count something else than keys."""


def row_counts(content: Fingerprint) -> dict[str, int]:
    """Rows of each table (points or nodes of each collection) by its name; keys of each database.

    A partitioned table stands there as a whole, and with each of its partitions.
    """
    if _of_valkey(content):
        return dict(_keys(content.items))
    return {
        item.name: item.count
        for item in content.items
        if item.count is not None and item.kind != _LARGE_OBJECTS
    }


def amount_in(content: Fingerprint) -> str:
    """How much there is: ``3 tables, 1,000 rows``; partitions count once. Or ``12 keys``."""
    if _of_valkey(content):
        keys = _keys(content.items)
        told = _counted(keys.total(), "key")
        return f"{told} in {len(keys)} databases" if len(keys) > 1 else told
    apart = {_LARGE_OBJECTS, "partitioned table"}
    counts = [i.count for i in content.items if i.count is not None and i.kind not in apart]
    return f"{_counted(len(counts), 'table')}, {_counted(sum(counts), 'row')}"


def _of_valkey(content: Fingerprint) -> bool:
    return content.method.partition("/")[0] in _VALKEY


def _keys(items: Iterable[Item]) -> Counter[str]:
    """By database; there is an item for each type of key and time of expiry."""
    keys: Counter[str] = Counter()
    for item in items:
        if item.count is not None and item.kind not in _NO_KEYS:
            keys[item.name.partition(",")[0]] += item.count
    return keys


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
