"""Sequences: outside every snapshot, so they are bracketed.

What is compared is the next value that a sequence would give out: that is all of its state that an
application can tell, whether ``is_called`` is set or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from backup_lib.model import Fingerprint, Item, NotCovered
from backup_lib.stores.postgres.content.session import (
    Connect,
    Session,
    opened,
    printable,
)
from backup_lib.stores.postgres.content.tables import USER_SCHEMA
from backup_lib.stores.postgres.failures import translated

_BATCH = 200
_SET_BACK = "it was set back, or began anew, while the backup was made"
_SEQUENCES = f"""
SELECT format('%I.%I', n.nspname, c.relname)::text, s.seqincrement::text,
  c.relpersistence = 'p' OR NOT pg_is_in_recovery()
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {USER_SCHEMA} AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND c.oid <> ALL (coalesce(e.extconfig, '{{}}')))
ORDER BY 1
"""


class Next(NamedTuple):
    """What a sequence would give out next, and what it then moves on by."""

    value: int
    step: int


def next_values(session: Session) -> dict[str, Next]:
    """The next value of every sequence of the database, by name.

    Raises:
        Unreachable: no permission on one of them, or the server failed.
    """
    found: dict[str, Next] = {}
    with translated("reading sequences"):
        names = [
            (str(name), int(str(step)))
            for name, step, readable in session.rows(_SEQUENCES)
            if readable
        ]
        for at in range(0, len(names), _BATCH):
            batch = names[at : at + _BATCH]
            query = " UNION ALL ".join(
                f"SELECT {number}, last_value::text, is_called FROM {name}"
                for number, (name, _) in enumerate(batch)
            )
            for number, last, called in session.rows(query):
                name, step = batch[int(str(number))]
                found[printable(name)] = Next(int(str(last)) + (step if called else 0), step)
    return found


def unreadable(session: Session) -> tuple[NotCovered, ...]:
    """The sequences that have no value here.

    Raises:
        Unreachable: the server failed.
    """
    with translated("reading sequences"):
        return tuple(
            NotCovered(
                "sequence",
                printable(str(name)),
                "unlogged, and a standby has no value of it: back up from the primary",
            )
            for name, _, readable in session.rows(_SEQUENCES)
            if not readable
        )


def read_sequences(connect: Connect) -> dict[str, Next]:
    """The next value of every sequence, right now: to be called before and after the dump.

    Raises:
        Unreachable: no permission on one of them, or the server failed.
    """
    with translated("reading sequences"), opened(connect, None) as session:
        return next_values(session)


def bracketed(
    fingerprint: Fingerprint, before: Mapping[str, Next], after: Mapping[str, Next]
) -> Fingerprint:
    """The fingerprint with every sequence between its values before and after the dump.

    One that was set back meanwhile, or began anew (``CYCLE``), has been anywhere: it is not proven.
    """
    items: list[Item] = []
    left_out = list(fingerprint.not_covered)
    for item in fingerprint.items:
        if item.kind != "sequence":
            items.append(item)
            continue
        assert item.low is not None
        first, last = before.get(item.name), after.get(item.name)
        values = [first.value if first else item.low, item.low, last.value if last else item.low]
        step = (last or first or Next(item.low, 1)).step
        if values != sorted(values, reverse=step < 0):
            left_out.append(NotCovered(item.kind, item.name, _SET_BACK))
        else:
            items.append(replace(item, low=min(values), high=max(values)))
    return replace(fingerprint, items=tuple(items), not_covered=tuple(left_out))
