"""Reading the schema: every object becomes an item, and what it is becomes a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

import psycopg

from backup_lib.model import Item, NotCovered
from backup_lib.stores.postgres.content.scan import cancelled_with
from backup_lib.stores.postgres.content.schema import (
    access,
    attached,
    datatypes,
    environment,
    later,
    left_out,
    relations,
    remarks,
    roles,
    routines,
)
from backup_lib.stores.postgres.content.schema.scope import Majors
from backup_lib.stores.postgres.content.session import (
    Connect,
    Session,
    opened,
    printable,
)
from backup_lib.stores.postgres.failures import translated
from backup_lib.work import Work
from restoreproof.events import step

_FAMILIES = (relations, attached, routines, datatypes, environment, access, remarks)
_DIGEST_BITS = 128


@dataclass(frozen=True, slots=True)
class Schema:
    """The definitions of a database, as items without a count.

    Attributes:
        major: the version of the server that printed them.
        items: sorted by kind and name.
        not_covered: what is not in a dump, or not compared.
        unread: why it could not be read; then it has no items.
    """

    major: int
    items: tuple[Item, ...] = ()
    not_covered: tuple[NotCovered, ...] = ()
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a server.

    Attributes:
        items: as those of a schema.
        bootstrap: the role that the server was made with, as SQL spells it.
    """

    items: tuple[Item, ...]
    bootstrap: str


class _Dropped(Exception):
    """An object that the snapshot shows is gone."""


def read_schema(
    connect: Connect,
    *,
    snapshot: str | None,
    work: Work,
    like: int | None = None,
    lock_timeout: float = 0,
    missing_ok: bool = False,
    with_later: bool = True,
    title: str = "reading the definitions",
) -> Schema:
    """Read all definitions of a database, by some ninety queries, whatever its size.

    Args:
        connect: makes a connection to the database; its role needs no rights in it.
        snapshot: the exported snapshot of the dump; None for what is there now.
        work: to be stopped by.
        like: the major version of the source, where this is its restored copy.
        lock_timeout: seconds to wait for a table that somebody alters; 0 for as long as it takes.
        missing_ok: leave out what the snapshot shows and is gone by now.
        with_later: read what :mod:`.later` has too, which fingerprints of an older method lack.
        title: of this step, for people.

    Raises:
        Interrupted: it was asked for.
        Unreachable: the server failed.
    """
    with translated("reading the schema"), opened(connect, snapshot) as session:
        session.run(f"SET LOCAL lock_timeout = {round(lock_timeout * 1000)}")
        majors = Majors(session.major, min(session.major, like or session.major))
        families = (*_FAMILIES, later) if with_later else _FAMILIES
        try:
            with (
                step(work.emit, "schema", title, monotonic=work.clock.monotonic) as running,
                cancelled_with(work, session),
            ):
                found = _read(session, majors, families, missing_ok=missing_ok)
                running.outcome = f"{len(found.items)} items"
                return found
        except psycopg.errors.LockNotAvailable:
            reason = f"somebody altered a table for longer than {lock_timeout:g} s (lock_timeout)"
        except (psycopg.errors.InternalError_, _Dropped):
            reason = "an object was dropped in that moment"
        return Schema(session.major, unread=f"definitions could not be read: {reason}")


def read_roles(connect: Connect, *, like: int | None = None) -> Roles:
    """Read what the server holds of roles now; they are the same for all of its databases.

    Args:
        connect: makes a connection; its role needs no rights.
        like: the major version of the source, where this is a server that it was restored into.

    Raises:
        Unreachable: the server failed.
    """
    with translated("reading the roles"), opened(connect, None) as session:
        majors = Majors(session.major, min(session.major, like or session.major))
        items = _items(session, roles.queries(majors), missing_ok=True)
        (bootstrap,) = session.row(roles.BOOTSTRAP)
        return Roles(items, printable(str(bootstrap)))


def _read(
    session: Session, majors: Majors, families: tuple[ModuleType, ...], *, missing_ok: bool
) -> Schema:
    queries = (query for family in families for query in family.queries(majors))
    items = _items(session, queries, missing_ok=missing_ok)
    gaps = {
        NotCovered(str(kind), printable(str(name)), str(reason))
        for query in left_out.queries()
        for kind, name, reason in session.stream(query)
        if name is not None
    }
    return Schema(session.major, items, tuple(sorted(gaps, key=lambda gap: (gap.kind, gap.name))))


def _items(session: Session, queries: Iterable[str], *, missing_ok: bool) -> tuple[Item, ...]:
    """What the queries' rows say of each kind and name, sorted by these."""
    digests: dict[tuple[str, str], int] = {}
    for query in queries:
        for kind, name, fact in session.stream(query):
            if name is not None:
                key = str(kind), printable(str(name))
                digests[key] = digests.get(key, 0) + _number("" if fact is None else str(fact))
            elif not missing_ok:
                raise _Dropped
    items = (
        Item(kind, name, f"{number % 2**_DIGEST_BITS:0{_DIGEST_BITS // 4}x}")
        for (kind, name), number in digests.items()
    )
    return tuple(sorted(items, key=lambda item: (item.kind, item.name)))


def _number(fact: str) -> int:
    """The facts about one object are a set: their digests are added up, in any order."""
    data = fact.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(data).digest()[: _DIGEST_BITS // 8])
