"""The schema as a part of a fingerprint: what of it may be held against a restored copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from backup_lib.model import Fingerprint, Item, NotCovered
from backup_lib.stores.postgres.content.schema import roles
from backup_lib.stores.postgres.content.schema.later import DATABASE_LOCALE
from backup_lib.stores.postgres.content.schema.reading import Schema

_PRINTED = (" expressions", " query")
"""Kinds whose text the server prints from a parsed tree, as its version pleases."""

_ACCESS = (" access",)
_OF_DATABASE = "database "
_VERSION = "extension version"

_CHANGED = "was changed while the dump ran: a dump has definitions as they are when it reads them"
_NO_VERSION = "a dump keeps no version of an extension: the restore installed the server's own"
_NOT_KEPT = (
    "a restore into a server that is kept may leave out roles, owners, grants and settings of the "
    "database, as its notes say"
)
_THERE_ALREADY = "the disposable server was made with a role of that name, which stays as it is"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a restored copy was made under.

    Attributes:
        source_major: of the server that was backed up.
        disposable: the copy is in a sandbox, where all of a dump is restored.
        bootstrap: the role that the copy's server was made with, as SQL spells it.
        other_locale: to be asked why the database has another locale than the source's; an empty
            answer where it should have the same.
    """

    source_major: int
    disposable: bool
    bootstrap: str = ""
    other_locale: Callable[[], str] = str


def with_schema(rows: Fingerprint, schema: Schema, method: str) -> Fingerprint:
    """A fingerprint of rows and definitions."""
    items = sorted((*rows.items, *schema.items), key=lambda item: (item.kind, item.name))
    gaps = sorted((*rows.not_covered, *schema.not_covered), key=lambda gap: (gap.kind, gap.name))
    return replace(rows, method=method, items=tuple(items), not_covered=tuple(gaps))


def steady(first: Schema, later: Schema) -> Schema:
    """The schema without what changed from before to after the dump.

    pg_dump's queries see the snapshot, and so do ours, both times. But the functions that print a
    definition (``pg_get_viewdef`` …) see the catalogue of their moment. What is the same before and
    after was the same for pg_dump in between.
    """
    after = {(item.kind, item.name): item for item in later.items}
    same = tuple(item for item in first.items if after.get((item.kind, item.name)) == item)
    moved = {NotCovered(item.kind, item.name, _CHANGED) for item in set(first.items) - set(same)}
    gaps = {*first.not_covered, *moved}
    return replace(
        first,
        items=same,
        not_covered=tuple(sorted(gaps, key=lambda gap: (gap.kind, gap.name))),
    )


def settled(copy: Schema, taken: Fingerprint, given: Circumstances) -> Schema:
    """The schema of a restored copy without what may differ though the backup is good.

    What is equal is proven all the same; only what is not becomes *not proven*, with the reason.

    Args:
        copy: as it was read.
        taken: the fingerprint of the source.
        given: how the copy came to be.
    """
    source = {(item.kind, item.name): item for item in taken.items}
    items: list[Item] = []
    gaps = list(copy.not_covered)
    for item in copy.items:
        original = source.get((item.kind, item.name))
        if original is None and _is_of_the_server(item, given):
            continue
        reason = "" if item == original else _excuse(item, original, copy.major, given)
        if reason:
            gaps.append(NotCovered(item.kind, item.name, reason))
        else:
            items.append(item)
    there = {(item.kind, item.name) for item in copy.items}
    gaps += [
        NotCovered(item.kind, item.name, reason)
        for item in taken.items
        if (item.kind, item.name) not in there and (reason := _unkept(item, given))
    ]
    return replace(copy, items=tuple(items), not_covered=tuple(gaps))


def _excuse(item: Item, original: Item | None, major: int, given: Circumstances) -> str:
    if item.kind == DATABASE_LOCALE:
        return given.other_locale()
    if original is not None and item.kind == _VERSION:
        return _NO_VERSION
    if original is not None and major != given.source_major and item.kind.endswith(_PRINTED):
        return f"PostgreSQL {given.source_major} and {major} print it differently"
    return _unkept(item, given)


def _unkept(item: Item, given: Circumstances) -> str:
    """Why a restore may not have made this as it was at the source."""
    kind = item.kind
    if not given.disposable and (
        kind in roles.KINDS or kind.endswith(_ACCESS) or kind.startswith(_OF_DATABASE)
    ):
        return _NOT_KEPT
    return _THERE_ALREADY if _is_bootstrap(item, given) else ""


def _is_of_the_server(item: Item, given: Circumstances) -> bool:
    """Whether no restore made it: roles are not those of one database alone."""
    return item.kind in roles.KINDS and (not given.disposable or _is_bootstrap(item, given))


def _is_bootstrap(item: Item, given: Circumstances) -> bool:
    return item.kind in roles.KINDS and item.name == given.bootstrap
