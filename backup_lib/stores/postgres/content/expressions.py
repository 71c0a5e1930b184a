"""How a row becomes a number: exact for every type, and the same on PostgreSQL 14 to 18.

``hash_record_extended`` over typed values is about three times as fast as hashing text, but it is
*value* equality, and looser than that in places:

- numeric 1.0 = 1.00, float -0 = 0, '1 day' = '24 hours', strings equal under their collation, an
  array's lower bounds: equal, and so equally hashed, though not the same;
- ``hashint8`` folds 64 bits to 32, so that -1 and 4294967295 collide *for every seed*; timestamps,
  times and intervals share it;
- NaN and both infinities of numeric hash alike;
- enums, and anything that holds one, hash by OID, which a restored copy has others of;
- json, xml, point and others have no hash function at all.

So a column enters the row in one of these forms:

======== ========================================= ==============================================
form     types                                     why it is exact
======== ========================================= ==============================================
native   boolean, int2, int4, oid, date, text,     the hash covers all bits; strings under "C",
         varchar, bytea, uuid, inet …              where equal is identical
halves   int8                                      the folded hash, and the upper half beside it
padded   char(n)                                   its hash ignores trailing blanks: the length too
binary   numeric, timestamps, times, interval      the send form: every digit and bit
text     everything else                           what ``COPY``, and so the dump, writes
======== ========================================= ==============================================

A record's hash is Horner's scheme over its columns' hashes, ``31 * h(a) + h(b)`` modulo 2^64, and a
sum of such numbers over rows does not notice two values of one column changing places between rows.
Hence the row's number is mixed once more, not linearly, before it is summed: twice, into two
independent sums.
Formulas: ``hash_record_extended``, ``hashint8extended`` and ``hash_bytes_uint32_extended`` in the
sources ``rowtypes.c``, ``hashfunc.c`` and ``hashfn.c`` of PostgreSQL.
"""

from __future__ import annotations

from dataclasses import dataclass

from backup_lib.stores.postgres.content.session import Session

_NATIVE = frozenset(
    ("bool", "bytea", "char", "name", "int2", "int4", "text", "oid", "varchar", "date", "uuid")
) | frozenset(("macaddr", "macaddr8", "inet", "cidr"))
_COLLATABLE = frozenset(("text", "varchar", "bpchar"))
_BINARY = frozenset(["numeric", "timestamp", "timestamptz", "time", "timetz", "interval"])

_SEED = 0x726573746F7265  # any number but 0 will do; it is part of the method
_OTHER_SEED = 0x70726F6F66
_LARGEST_RECORD = 800
"""Fields of one record; PostgreSQL stops at 1664."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is stored, with its type resolved through domains.

    Attributes:
        name: quoted where PostgreSQL would quote it.
        type_name: quoted and with its schema.
        output: the type's output function, quoted and with its schema.
        builtin: the type's plain name where it is one of ``pg_catalog``, else empty.
    """

    name: str
    type_name: str
    output: str
    builtin: str


_COLUMNS = """
WITH RECURSIVE resolved AS (
    SELECT a.attname, a.atttypid AS type FROM pg_attribute a
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
  UNION ALL
    SELECT r.attname, t.typbasetype FROM resolved r JOIN pg_type t ON t.oid = r.type
    WHERE t.typtype = 'd'
)
SELECT quote_ident(r.attname::text)::text,
       format('%%I.%%I', n.nspname, t.typname)::text,
       format('%%I.%%I', f.nspname, p.proname)::text,
       (CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname ELSE '' END)::text
FROM resolved r JOIN pg_type t ON t.oid = r.type JOIN pg_namespace n ON n.oid = t.typnamespace
JOIN pg_proc p ON p.oid = t.typoutput JOIN pg_namespace f ON f.oid = p.pronamespace
WHERE t.typtype <> 'd'
ORDER BY r.attname::text COLLATE "C"
"""


def columns_of(session: Session, table: int) -> list[Column]:
    """The stored columns of the table with that OID, by name.

    By name, since the order of the attributes is not kept everywhere (dropped columns, children
    that were attached later). Columns that are generated when read (``VIRTUAL``) hold no data;
    generated columns that are stored are compared like any other: the restore computes them anew,
    and an application sees the outcome.
    """
    return [Column(*map(str, row)) for row in session.rows(_COLUMNS, (table,))]


def column_fields(column: Column) -> list[str]:
    """The fields of the hashed record that stand for a column."""
    value = f"({column.name})::{column.type_name}"
    kind = column.builtin
    if kind in _COLLATABLE:
        text = f'{value} COLLATE "C"'
        return [text, f"octet_length({value})"] if kind == "bpchar" else [text]
    if kind in _NATIVE:
        return [value]
    if kind == "int8":
        return [value, f"{value} >> 32"]
    if kind in _BINARY:
        return [f"{kind}_send({value})"]
    return [f'textin({column.output}({value})) COLLATE "C"']


def row_hash(fields: list[str]) -> str:
    """An expression for the 64-bit number of one row."""
    if not fields:
        return "0::bigint"
    if len(fields) <= _LARGEST_RECORD:
        return f"hash_record_extended(ROW({', '.join(fields)}), {_SEED})"
    parts = [fields[at : at + _LARGEST_RECORD] for at in range(0, len(fields), _LARGEST_RECORD)]
    return row_hash([f"int8send({row_hash(part)})" for part in parts])


def sums(fields: list[str], source: str) -> str:
    """A query for the count and both sums over all rows of ``source`` (the text after FROM).

    The sums are exact integers (numeric); parts of a table simply add up.
    """
    # OFFSET 0 keeps the planner from computing the row's number twice
    return (
        "SELECT count(*), coalesce(sum(hashint8extended(h, h)), 0),"
        f" coalesce(sum(hashint8extended(h, h # {_OTHER_SEED})), 0)"
        f" FROM (SELECT {row_hash(fields)} AS h FROM {source} OFFSET 0) AS hashed"
    )


@dataclass(frozen=True, slots=True)
class Sums:
    """Count and sums of a set of rows; independent of their order, and duplicates count."""

    count: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.count + other.count, self.first + other.first, self.second + other.second)

    @property
    def digest(self) -> str:
        """Both sums modulo 2^64, in hex."""
        return f"{self.first % 2**64:016x}{self.second % 2**64:016x}"

    @classmethod
    def of(cls, row: tuple[object, ...]) -> Sums:
        """From the answer to :func:`sums`."""
        count, first, second = (int(str(value)) for value in row)
        return cls(count, first, second)
