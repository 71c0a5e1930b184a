"""The fingerprint of one database: every table, large object, sequence and definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backup_lib.model import Fingerprint, Item, NotCovered
from backup_lib.stores.postgres.content.expressions import Sums
from backup_lib.stores.postgres.content.holding import Held, held
from backup_lib.stores.postgres.content.large_objects import large_objects
from backup_lib.stores.postgres.content.scan import cancelled_with, scan
from backup_lib.stores.postgres.content.schema import (
    Circumstances,
    Roles,
    Schema,
    read_roles,
    read_schema,
    settled,
    steady,
    with_schema,
)
from backup_lib.stores.postgres.content.schema.roles import KINDS as ROLE_KINDS
from backup_lib.stores.postgres.content.sequences import (
    Next,
    bracketed,
    next_values,
    read_sequences,
    unreadable,
)
from backup_lib.stores.postgres.content.session import (
    Connect,
    opened,
    printable,
)
from backup_lib.stores.postgres.content.tables import (
    GENERATED,
    Catalogue,
    Table,
    parts,
)
from backup_lib.stores.postgres.failures import translated
from backup_lib.work import Work
from restoreproof.errors import Unreachable
from restoreproof.events import step

METHOD = "postgres/3"
_FIRST_DEFINITIONS_METHOD = "postgres/2"
"""Without what :mod:`.schema.later` reads."""

ROWS_METHOD = "postgres/1"
"""Rows, large objects and sequences, without definitions."""

METHODS = (METHOD, _FIRST_DEFINITIONS_METHOD, ROWS_METHOD)
"""That a copy can be compared by."""

_COMPUTED_ANEW = (
    "what {} holds is in no dump: the restore computes them anew, and otherwise where the "
    "expression rests on a setting of the session or role that wrote them, or on other tables; the "
    "table may differ in nothing else"
)


@dataclass(frozen=True, slots=True)
class Beside:
    """What the snapshot does not hold still: read before the dump begins, and after it ended.

    Attributes:
        sequences: the next value of each.
        schema: the definitions.
    """

    sequences: Mapping[str, Next]
    schema: Schema


def read_beside(
    connect: Connect, *, snapshot: str, lock_timeout: float, work: Work, after: bool = False
) -> Beside:
    """Read sequences, which are in no snapshot, and definitions, which are only partly in one.

    Args:
        connect: makes a connection to the database.
        snapshot: the exported snapshot of the dump.
        lock_timeout: seconds to wait for a table that somebody alters.
        work: to be stopped by.
        after: the dump has ended.

    Raises:
        Interrupted: it was asked for.
        Unreachable: no permission on a sequence, or the server failed.
    """
    again = " again: did one change during the dump?" if after else ""
    schema = read_schema(
        connect,
        snapshot=snapshot,
        work=work,
        lock_timeout=lock_timeout,
        missing_ok=after,
        title=f"reading the definitions{again}",
    )
    return Beside(read_sequences(connect), schema)


def whole(rows: Fingerprint, before: Beside, after: Beside) -> Fingerprint:
    """The fingerprint of the source, out of the rows and what was read around the dump."""
    rows = bracketed(rows, before.sequences, after.sequences)
    unread = before.schema.unread or after.schema.unread
    if unread:
        gap = NotCovered("schema", "definitions", unread)
        return replace(rows, not_covered=(*rows.not_covered, gap))
    return with_schema(rows, steady(before.schema, after.schema), METHOD)


def compared(
    connect: Connect, taken: Fingerprint, given: Circumstances, *, jobs: int, work: Work
) -> Fingerprint:
    """The fingerprint of a restored copy, to be compared with that of its source.

    Args:
        connect: makes a connection to the copy.
        taken: at the source, by one of :data:`METHODS`.
        given: how the copy came to be.
        jobs: number of connections that read.
        work: to be told and stopped by.

    Raises:
        Interrupted: it was asked for.
        Unreachable: the server failed.
    """
    rows = _explained(take(connect, jobs=jobs, work=work), taken, connect)
    if taken.method == ROWS_METHOD:
        return rows
    schema = read_schema(
        connect,
        snapshot=None,
        work=work,
        like=given.source_major,
        with_later=taken.method == METHOD,
    )
    if schema.unread:
        raise Unreachable(
            f"{schema.unread} in the restored copy",
            hint="verify again, while nobody changes that database",
        )
    if any(item.kind in ROLE_KINDS for item in taken.items):
        roles = read_roles(connect, like=given.source_major)
        schema = replace(schema, items=(*schema.items, *roles.items))
        given = replace(given, bootstrap=roles.bootstrap)
    return with_schema(rows, settled(schema, taken, given), taken.method)


def with_roles(taken: Fingerprint, roles: Roles) -> Fingerprint:
    """A fingerprint of the source with its roles; one without definitions stays as it is."""
    if taken.method != METHOD:
        return taken
    return with_schema(taken, Schema(0, roles.items), METHOD)


def _explained(rows: Fingerprint, taken: Fingerprint, connect: Connect) -> Fingerprint:
    """With a remark beside each table that may differ only in what the restore computed."""
    source = {(item.kind, item.name): item for item in taken.items}
    differ = {
        item.name
        for item in rows.items
        if item.kind == "table" and source.get((item.kind, item.name), item) != item
    }
    if not differ:
        return rows
    with translated("reading the generated columns"), opened(connect, None) as session:
        computed = {printable(str(name)): str(columns) for name, columns in session.rows(GENERATED)}
    gaps = [
        NotCovered("generated columns", name, _COMPUTED_ANEW.format(computed[name]))
        for name in sorted(differ & computed.keys())
    ]
    return replace(rows, not_covered=(*rows.not_covered, *gaps))


def take(connect: Connect, *, jobs: int, work: Work) -> Fingerprint:
    """Take the fingerprint of a database at rest: :func:`take_held` of its tables as they are."""
    with held(connect, snapshot=None, work=work) as tables:
        return take_held(connect, tables, jobs=jobs, work=work)


def take_held(connect: Connect, held_tables: Held, *, jobs: int, work: Work) -> Fingerprint:
    """Take the fingerprint of a database's rows, large objects and sequences.

    Sequences are read when it starts: bracket them (:func:`.sequences.bracketed`) with values read
    before and after the dump. Nothing is written, and no connection is left open.

    Args:
        connect: makes a connection to the database, as a role that may read all of it.
        held_tables: of that database.
        jobs: number of connections that read, beside the one that holds the locks.
        work: to be told and stopped by.

    Raises:
        Interrupted: it was asked for.
        Refused: row security hides rows from this role.
        Unreachable: the server failed, refuses this role, or stood still for too long.
    """
    session, catalogue, tables = held_tables.session, held_tables.catalogue, held_tables.tables
    with translated("taking the fingerprint"):
        with cancelled_with(work, session):
            sequences = next_values(session)
            unread = unreadable(session)
        size = sum(table.size for table in tables)
        with step(
            work.emit,
            "fingerprint",
            f"fingerprint of {len(tables)} tables",
            total=size,
            monotonic=work.clock.monotonic,
        ) as running:
            found = scan(
                (part for table in tables for part in parts(table)),
                connect,
                held_tables.snapshot,
                session,
                jobs,
                work,
                running,
            )
            running.outcome = f"{sum(s.count for s in found.values())} rows, {len(tables)} tables"
        with cancelled_with(work, session):
            objects = large_objects(session, work)
        items, left_out = _table_items(catalogue, tables, found)
        items += [
            Item("sequence", name, low=next_.value, high=next_.value)
            for name, next_ in sequences.items()
        ]
        if objects is not None:
            items.append(objects)
    gaps = (*catalogue.not_covered, *left_out, *unread)
    return Fingerprint(
        ROWS_METHOD,
        "snapshot",
        tuple(sorted(items, key=lambda item: (item.kind, item.name))),
        tuple(sorted(gaps, key=lambda gap: (gap.kind, gap.name))),
    )


def _table_items(
    catalogue: Catalogue, tables: list[Table], found: dict[int, Sums]
) -> tuple[list[Item], list[NotCovered]]:
    """Items for tables, partitions, and partitioned tables as a whole."""
    whole = {root: Sums() for root in catalogue.roots}
    items: list[Item] = []
    left_out: list[NotCovered] = []
    for table in tables:
        sums = found[table.oid]
        if table.root:
            whole[table.root] = whole.get(table.root, Sums()) + sums
        if table.stable:
            items.append(Item("table", printable(table.name), sums.digest, sums.count))
        else:
            left_out.append(
                NotCovered(
                    "partition",
                    printable(table.name),
                    "rows find their partition by the hash of an enum, which is another one in "
                    "every database: proven as a part of the whole table",
                )
            )
    items += [
        Item("partitioned table", printable(root), sums.digest, sums.count)
        for root, sums in whole.items()
    ]
    return items, left_out
