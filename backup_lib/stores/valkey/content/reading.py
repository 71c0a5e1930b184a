"""Taking the fingerprint of all logical databases and functions of a server."""

from __future__ import annotations

from datetime import datetime

from backup_lib.model import Fingerprint, Item, NotCovered, Target
from backup_lib.stores.valkey import facts
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.content.keys import Reader
from backup_lib.stores.valkey.content.sums import Tally, digest
from backup_lib.stores.valkey.content.values import as_mapping
from backup_lib.stores.valkey.content.wire import Wire, wire
from backup_lib.work import Work
from restoreproof.errors import Unreachable
from restoreproof.events import step

METHOD = "valkey/1"
LOG_METHOD = "valkey-aof/1"
"""The same without what an append-only file does not hold: when consumers were seen and active."""
_BATCH = 1000


def take(
    target: Target,
    moment: datetime,
    work: Work,
    *,
    not_covered: tuple[NotCovered, ...] = (),
    method: str = METHOD,
) -> Fingerprint:
    """Read everything in a server that nobody writes to.

    Args:
        target: the server.
        moment: of the backup, which the buckets of expiry depend on.
        work: cancellation and listeners.
        not_covered: what the caller knows to be left out.
        method: :data:`METHOD` or :data:`LOG_METHOD`.

    Raises:
        Unreachable: it is away, or changes while it is read.
        Inconclusive: it holds a type of data that is not known here.
    """
    tally = Tally(moment)
    with connect(target) as client:
        info = facts.read(client)
    done = 0
    with step(
        work.emit,
        "fingerprint",
        "fingerprinting the content",
        total=sum(info.databases.values()),
        unit="items",
        monotonic=work.clock.monotonic,
    ) as telling:
        for database, keys in info.databases.items():
            with wire(target, database) as asked:
                reader = Reader(
                    asked,
                    database,
                    volatile=database in info.volatile_fields,
                    times=method != LOG_METHOD,
                    tally=tally,
                )
                cursor, seen = 0, 0
                while True:
                    work.cancel.check()
                    cursor, names = _scan(asked, cursor)
                    reader.add(names)
                    seen += len(names)
                    telling.progress(done + seen)
                    if cursor == 0:
                        break
                if seen > keys:
                    raise Unreachable(
                        f"db{database} changed while it was read",
                        hint="nothing may write to the copy while it is compared",
                    )
                done += seen
    items = (*tally.items(), *_functions(target))
    return Fingerprint(
        method=method,
        consistency="snapshot",
        items=tuple(sorted(items, key=lambda item: (item.kind, item.name))),
        not_covered=not_covered,
    )


def _scan(asked: Wire, cursor: int) -> tuple[int, list[bytes]]:
    ((following, names),) = asked.ask([("SCAN", cursor, "COUNT", _BATCH)])
    return int(following), list(dict.fromkeys(names))


def _functions(target: Target) -> tuple[Item, ...]:
    """One item for each library of functions: its code."""
    with wire(target) as asked:
        (said,) = asked.ask([("FUNCTION", "LIST", "WITHCODE")])
    libraries = [as_mapping(library) for library in said]
    return tuple(
        Item(
            "functions",
            library[b"library_name"].decode("utf-8", "backslashreplace"),
            digest(library[b"engine"].lower(), library[b"library_code"]).hex(),
            len(library[b"functions"]),
        )
        for library in libraries
    )
