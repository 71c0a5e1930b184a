"""The judgement over two fingerprints: of the source, and of the restored copy. Pure."""

from __future__ import annotations

from datetime import datetime

from backup_lib.model import (
    Comparison,
    Difference,
    Fingerprint,
    Item,
    NotCovered,
    ProofLevel,
)

_BESIDE = frozenset({"functions", "ACL users"})
"""Kinds of items that no data is in: they cannot stand for data that has expired."""


def compare(source: Fingerprint, restored: Fingerprint, at: datetime) -> Comparison:
    """What the restored copy proves about the backup.

    Equal methods only are compared, and a source without items proves nothing, nor does one whose
    data has all expired: there is no vacuous pass.

    Args:
        source: taken at the source, at the moment of the backup.
        restored: taken in the restored copy.
        at: the moment of the comparison; items that may have expired by then are not provable.
    """
    left_out = tuple(dict.fromkeys(source.not_covered + restored.not_covered))
    if source.method != restored.method:
        reason = f"fingerprints of different methods: {source.method} and {restored.method}"
        return _nothing(reason, left_out)
    if not source.items:
        return _nothing("the fingerprint of the source is empty", left_out)
    if len(_keyed(source)) != len(source.items) or len(_keyed(restored)) != len(restored.items):
        return _nothing("a fingerprint names an item twice", left_out)
    expected, found = _keyed(source), _keyed(restored)
    # what one side says it could not read is unproven, not missing
    unread = {(item.kind, item.name) for item in left_out}
    equal = 0
    data_equal, data_expired = False, False
    differences: list[Difference] = []
    unproven: list[NotCovered] = list(left_out)
    for key, item in expected.items():
        if item.expires is not None and item.expires <= at:
            unproven.append(NotCovered(item.kind, item.name, _expired(item)))
            data_expired = True
        elif key not in found and key in unread:
            continue
        elif what := _difference(item, found.get(key)):
            differences.append(Difference(item.kind, item.name, what))
        else:
            equal += 1
            data_equal = data_equal or item.kind not in _BESIDE
    differences += [
        Difference(item.kind, item.name, "is in the copy and was not at the source")
        for key, item in found.items()
        if key not in expected
        and key not in unread
        and not (item.expires is not None and item.expires <= at)
    ]
    share = equal / len(expected)
    if differences or not equal or (data_expired and not data_equal):
        level = ProofLevel.NONE
    else:
        level = ProofLevel.EXACT if source.consistency == "snapshot" else ProofLevel.BRACKETED
    return Comparison(level, equal, tuple(differences), tuple(unproven), share)


def _expired(item: Item) -> str:
    """The reason, with the number of what is no longer provable."""
    counted = "" if item.count is None else f"{item.count} {item.kind} "
    return f"{counted}expired, not provable"


def _difference(source: Item, restored: Item | None) -> str:
    """What is not the same, or an empty text."""
    if restored is None:
        return "is missing from the copy"
    if source.low is not None or source.high is not None:
        return _out_of_bounds(source, restored)
    if source.count != restored.count:
        rows = "rows" if source.kind == "table" else "entries"
        return f"had {source.count} {rows} at the source and has {restored.count} in the copy"
    if not source.digest or source.digest != restored.digest:
        # without a count it is no set of rows but a definition
        if source.count is None:
            return "is not as it was at the source"
        return "has other content than at the source"
    return ""


def _out_of_bounds(source: Item, restored: Item) -> str:
    bounds = (source.low, source.high, restored.low, restored.high)
    if any(bound is None for bound in bounds):
        return "has no value to compare with"
    low, high = sorted((int(source.low or 0), int(source.high or 0)))
    values = (int(restored.low or 0), int(restored.high or 0))
    if not all(low <= value <= high for value in values):
        return f"is {values[0]} in the copy and was between {low} and {high} at the source"
    return ""


def _keyed(fingerprint: Fingerprint) -> dict[tuple[str, str], Item]:
    return {(item.kind, item.name): item for item in fingerprint.items}


def _nothing(reason: str, left_out: tuple[NotCovered, ...]) -> Comparison:
    return Comparison(
        ProofLevel.NONE, 0, (), (NotCovered("fingerprint", "", reason), *left_out), 0.0
    )
