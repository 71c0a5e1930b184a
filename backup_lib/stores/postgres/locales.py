"""Why a restored database has another locale than its source, where that blames no backup.

A dump does not make the database: we do, and not every server has the locale of every other.
"""

from __future__ import annotations

from backup_lib.model import StoreRecord, Target
from backup_lib.stores.postgres import catalog, databases
from backup_lib.stores.postgres.connection import connect, database_of
from restoreproof.errors import Inconclusive


def why_another(record: StoreRecord, target: Target) -> str:
    """The reason, for people; empty where the locale is the source's, or should be.

    Args:
        record: of the backup.
        target: the restored copy.

    Raises:
        Unreachable: the server failed.
    """
    if "collate" not in record.backup.details:
        return "the file does not tell the locale of its database: the copy has one without rules"
    like = catalog.Database.from_details(record.backup.details)
    name = database_of(target)
    with connect(target) as connection:
        has = catalog.locale_of(connection, connection.info.dbname)
    if has == like.own_locale:
        return ""
    if not target.disposable:
        return (
            f"the database that was restored into has the locale {has}, and the source had "
            f"{like.own_locale}: what sorts or compares by it may come out otherwise"
        )
    made = _made(target, name, like)
    if made is None and _is_fallback(like, has):
        return (
            f"the server lacks the locale {like.own_locale}: the copy has {has} instead, which "
            "sorts otherwise and changes no content"
        )
    if made == has:
        return f"the server calls the locale {like.own_locale} by another name: {has}"
    return ""


def _made(target: Target, name: str, like: catalog.Database) -> catalog.Locale | None:
    """The locale of a database that is made like the source's; None where the server cannot."""
    with databases.administration(target, name) as admin:
        try:
            with databases.aside(admin, like) as other:
                return catalog.locale_of(admin, other)
        except Inconclusive:
            return None


def _is_fallback(like: catalog.Database, has: catalog.Locale) -> bool:
    return like.provider == "libc" and has in [
        catalog.Locale("libc", fallback, fallback) for fallback in databases.FALLBACKS
    ]
