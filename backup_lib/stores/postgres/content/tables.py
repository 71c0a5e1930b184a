"""Which tables a database has, which of them pg_dump takes, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from backup_lib.model import NotCovered
from backup_lib.stores.postgres.content.session import Session, printable
from restoreproof.errors import Unreachable

_CHUNK = 64 << 20


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are in a dump.

    Attributes:
        oid: in this database; a restored copy has another.
        name: with its schema, quoted where PostgreSQL would quote it.
        size: bytes, with what is stored out of line.
        blocks: pages of its main part.
        splits: whether ranges of row addresses can be read on their own.
        condition: the rows that pg_dump takes, where an extension says so; else empty.
        root: the partitioned table on top of it, or empty.
        stable: whether every row comes back to the same partition.
    """

    oid: int
    name: str
    size: int
    blocks: int
    splits: bool
    condition: str
    root: str
    stable: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A range of pages of a table; the last range of a table is open at its end."""

    table: Table
    size: int
    first: int | None = None
    end: int | None = None

    @property
    def source(self) -> str:
        """The text after FROM: the rows of this part."""
        conditions = [f"({self.table.condition})"] if self.table.condition else []
        if self.first is not None:
            conditions.append(f"ctid >= '({self.first},0)'::tid")
        if self.end is not None:
            conditions.append(f"ctid < '({self.end},0)'::tid")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"ONLY {self.table.name}{where}"


def parts(table: Table, chunk: int = _CHUNK) -> Iterator[Part]:
    """Cut a table so that no part is much larger than ``chunk`` bytes."""
    pieces = min(table.blocks, -(-table.size // chunk)) if table.splits else 1
    if pieces <= 1:
        yield Part(table, table.size)
        return
    edges = [table.blocks * piece // pieces for piece in range(pieces)]
    for at, first in enumerate(edges):
        last = at + 1 == pieces
        yield Part(table, table.size // pieces, first, None if last else edges[at + 1])


USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

_RELATIONS = f"""
SELECT c.oid::int8, format('%I.%I', n.nspname, c.relname)::text, c.relkind::text,
       c.relpersistence::text, coalesce(am.amname = 'heap', false),
       e.extname::text, coalesce(x.condition, ''), x.condition IS NOT NULL, c.relispartition,
       (CASE WHEN c.relispartition THEN (
          SELECT format('%I.%I', rn.nspname, r.relname) FROM pg_class r
          JOIN pg_namespace rn ON rn.oid = r.relnamespace WHERE r.oid = pg_partition_root(c.oid))
        ELSE '' END)::text,
       NOT (c.relispartition AND EXISTS (
          SELECT FROM pg_partition_ancestors(c.oid) a (relid)
          JOIN pg_partitioned_table p ON p.partrelid = a.relid AND p.partstrat = 'h'
          JOIN pg_opclass o ON o.oid = ANY (p.partclass)
          WHERE o.opcname = 'enum_ops' AND o.opcnamespace = 'pg_catalog'::regnamespace))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
  AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
LEFT JOIN LATERAL (SELECT u.condition FROM unnest(e.extconfig, e.extcondition) u (rel, condition)
  WHERE u.rel = c.oid) x ON true
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't'
  AND (({USER_SCHEMA}) OR (c.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp)' AND e.oid IS NULL))
ORDER BY 2
"""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables of a database.

    Attributes:
        tables: whose rows are dumped.
        roots: partitioned tables that are not themselves a partition.
        not_covered: whose rows are not in a dump, or not proven.
    """

    tables: tuple[Table, ...]
    roots: tuple[str, ...]
    not_covered: tuple[NotCovered, ...]


def read_catalogue(session: Session, *, standby: bool) -> Catalogue:
    """Read which tables there are; their sizes are not known yet (see :func:`measured`)."""
    tables: list[Table] = []
    roots: list[str] = []
    left_out: list[NotCovered] = []
    for row in session.stream(_RELATIONS):
        oid, name, kind, persistence, heap, extension, condition, config, partition, root, ok = row
        name = str(name)
        reason = _left_out(str(kind), str(persistence), name, extension, bool(config), standby)
        if reason:
            left_out.append(NotCovered(reason[0], printable(name), reason[1]))
            continue
        if kind == "p":
            if not partition:
                roots.append(name)
            continue
        # the condition is stored with its WHERE
        text = str(condition).strip()
        text = text[5:].strip() if text[:5].upper() == "WHERE" else text
        tables.append(Table(int(str(oid)), name, 0, 0, bool(heap), text, str(root), bool(ok)))
    return Catalogue(tuple(tables), tuple(roots), tuple(left_out))


def _left_out(  # one rule of pg_dump a line
    kind: str, persistence: str, name: str, extension: object, config: bool, standby: bool
) -> tuple[str, str] | None:
    if name.startswith(("pg_", '"pg_', "information_schema.")):
        return "table", "lies in a system schema, which pg_dump leaves out"
    if kind == "f":
        return "foreign table", "its rows live on another server and are not in the dump"
    if kind == "m":
        return "materialized view", "its rows are not in the dump: the restore computes them anew"
    if extension is not None and not config:
        if kind == "p":
            return None
        return "extension table", f"its rows belong to the extension {extension}, not to the dump"
    if persistence == "u" and standby:
        # of the kind that it has in the copy, where it is an empty table
        return "table", "unlogged, and a standby has no rows of it: back up from the primary"
    return None


GENERATED = f"""
SELECT format('%I.%I', n.nspname, c.relname)::text,
       string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attgenerated = 's' AND NOT a.attisdropped AND {USER_SCHEMA}
GROUP BY 1
"""
"""Tables with columns that are computed when a row is written, and those columns."""


def measured(session: Session, tables: tuple[Table, ...]) -> list[Table]:
    """The same tables with their sizes, largest first. Lock them before that."""
    sizes = {
        int(str(oid)): (int(str(size or 0)), int(str(blocks or 0)))
        for oid, size, blocks in session.rows(
            "SELECT o::int8, pg_table_size(o::oid), pg_relation_size(o::oid)"
            " / current_setting('block_size')::int8 FROM unnest(%s::int8[]) o",
            ([table.oid for table in tables],),
        )
    }
    known = (
        replace(table, size=sizes[table.oid][0], blocks=sizes[table.oid][1]) for table in tables
    )
    return sorted(known, key=lambda table: -table.size)


_CHANGED = """
SELECT t.name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
  LATERAL (SELECT format('%%I.%%I', n.nspname, c.relname)::text AS name) t
WHERE c.oid = ANY (%s::oid[])
  AND (c.relfilenode <> pg_relation_filenode(c.oid) OR to_regclass(t.name) IS DISTINCT FROM c.oid)
ORDER BY 1
"""


def refuse_changed(session: Session, tables: tuple[Table, ...]) -> None:
    """Check that the snapshot sees the rows of these tables. Lock them before that.

    A table that was emptied, rewritten or exchanged for another since looks empty in an older
    snapshot, to the dump as well as to us, though it never was: their agreement would prove
    nothing. The catalogue as the snapshot sees it is compared with what is there now.

    Raises:
        Unreachable: one of them was changed that way.
    """
    oids = [table.oid for table in tables]
    changed = [printable(str(name)) for (name,) in session.rows(_CHANGED, (oids,))]
    if changed:
        raise Unreachable(
            f"{', '.join(changed[:5])} was emptied, rewritten or exchanged (TRUNCATE, ALTER TABLE, "
            "VACUUM FULL …) just after the backup's snapshot, which does not see its rows",
            hint="nothing was stored; run it again, when no such statement is at work",
        )


def lock(session: Session, tables: tuple[Table, ...], *, batch: int = 100) -> None:
    """Hold every table against being dropped, emptied or rewritten, as pg_dump does.

    Takes ACCESS SHARE, which waits for, and keeps out, nothing but ACCESS EXCLUSIVE.
    """
    for at in range(0, len(tables), batch):
        names = ", ".join(f"ONLY {table.name}" for table in tables[at : at + batch])
        session.run(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
