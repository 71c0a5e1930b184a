"""Large objects: their bytes as an application reads them, whatever pages they lie in.

The pages themselves do not compare: an object with holes comes back with pages of zeros.
"""

from __future__ import annotations

from dataclasses import replace

from backup_lib.model import Item
from backup_lib.stores.postgres.content.expressions import Sums, sums
from backup_lib.stores.postgres.content.session import Session
from backup_lib.stores.postgres.failures import translated
from backup_lib.work import Work

_CHUNK = 1 << 20
_BATCH = 500
_PIECES = 64

# of small objects many at once; those that fill a whole chunk are told, and read on by themselves
_FIRST = f"""
WITH listed AS (SELECT oid FROM pg_largeobject_metadata WHERE oid > %s ORDER BY oid LIMIT {_BATCH}),
read AS MATERIALIZED (SELECT oid, lo_get(oid, 0, {_CHUNK}) AS data FROM listed),
added AS ({sums(["oid", "0", "data"], "read")})
SELECT added.*, (SELECT max(oid)::int8 FROM listed),
       array(SELECT oid::int8 FROM read WHERE octet_length(data) = {_CHUNK}) FROM added
"""
_SIZE = "SELECT lo_lseek64(fd, 0, 2), lo_close(fd) FROM (SELECT lo_open(%s::oid, 262144) fd) o"
_MORE = sums(
    ["oid", "piece", f"lo_get(oid, piece::int8 * {_CHUNK}, {_CHUNK})"],
    "(SELECT %s::oid AS oid, generate_series(%s::int4, %s::int4) AS piece) AS pieces",
)


def large_objects(session: Session, work: Work) -> Item | None:
    """One item over all large objects; None where there is none.

    Raises:
        Unreachable: no permission on one of them, or the server failed.
    """
    with translated("reading large objects"):
        total, last = Sums(), 0
        while True:
            work.cancel.check()
            *numbers, highest, long_ones = session.row(_FIRST, (last,))
            if highest is None:
                break
            last = int(str(highest))
            total += Sums.of(tuple(numbers))
            assert isinstance(long_ones, list)
            for oid in long_ones:
                # its further chunks enter the sums, but it is one object
                total += replace(_rest(session, int(oid), work), count=0)
    if not total.count:
        return None
    return Item("large-objects", "large objects", total.digest, total.count)


def _rest(session: Session, oid: int, work: Work) -> Sums:
    size = int(str(session.row(_SIZE, (oid,))[0]))
    pieces = -(-size // _CHUNK)
    total = Sums()
    for first in range(1, pieces, _PIECES):
        work.cancel.check()
        last = min(first + _PIECES, pieces) - 1
        total += Sums.of(session.row(_MORE, (oid, first, last)))
    return total
