"""Sequences: outside every snapshot, so they are bracketed.

What is compared is the next value that a sequence would give out: that is all of its state that an
application can tell, whether ``is_called`` is set or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from backup_lib.model import Fingerprint, Item
from backup_lib.stores.postgres.content.session import (
    Connect,
    Session,
    opened,
    printable,
)
from backup_lib.stores.postgres.content.tables import USER_SCHEMA
from backup_lib.stores.postgres.failures import translated

_BATCH = 200
_SEQUENCES = f"""
SELECT format('%I.%I', n.nspname, c.relname)::text, s.seqincrement::text
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {USER_SCHEMA} AND c.relpersistence <> 't'
  AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery())
  AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND c.oid <> ALL (coalesce(e.extconfig, '{{}}')))
ORDER BY 1
"""


def next_values(session: Session) -> dict[str, int]:
    """The next value of every sequence of the database, by name.

    Raises:
        Unreachable: no permission on one of them, or the server failed.
    """
    found: dict[str, int] = {}
    with translated("reading sequences"):
        names = [(str(name), int(str(step))) for name, step in session.rows(_SEQUENCES)]
        for at in range(0, len(names), _BATCH):
            batch = names[at : at + _BATCH]
            query = " UNION ALL ".join(
                f"SELECT {number}, last_value::text, is_called FROM {name}"
                for number, (name, _) in enumerate(batch)
            )
            for number, last, called in session.rows(query):
                name, step = batch[int(str(number))]
                found[printable(name)] = int(str(last)) + (step if called else 0)
    return found


def read_sequences(connect: Connect) -> dict[str, int]:
    """The next value of every sequence, right now: to be called before and after the dump.

    Raises:
        Unreachable: no permission on one of them, or the server failed.
    """
    with translated("reading sequences"), opened(connect, None) as session:
        return next_values(session)


def bracketed(fingerprint: Fingerprint, *readings: Mapping[str, int]) -> Fingerprint:
    """The fingerprint with every sequence between the least and the greatest value read."""
    items = tuple(
        _widened(item, [reading[item.name] for reading in readings if item.name in reading])
        if item.kind == "sequence"
        else item
        for item in fingerprint.items
    )
    return replace(fingerprint, items=items)


def _widened(item: Item, values: list[int]) -> Item:
    assert item.low is not None
    assert item.high is not None
    return (
        replace(item, low=min(item.low, *values), high=max(item.high, *values)) if values else item
    )
