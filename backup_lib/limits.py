"""How much a manifest holds."""

from __future__ import annotations

from collections.abc import Iterable

from backup_lib.model import Item
from restoreproof.errors import Refused
from restoreproof.signing import dsse

_ITEM = len('{"count":null,"digest":"","expires":null,"high":null,"kind":"","low":null,"name":""},')
_HINT = (
    "set fingerprint = false for this store: its backups are then rehearsed, but their content is "
    "not compared; or spread its tables over several databases, each a store of a set of its own"
)


def refuse_too_many(items: Iterable[Item], what: str) -> None:
    """Refuse a fingerprint that no manifest can hold, before anything is dumped for it.

    Args:
        items: of the fingerprint; there may be more to come.
        what: they are of.

    Raises:
        Refused: they are too many.
    """
    number = size = 0
    for item in items:
        number += 1
        size += _ITEM + len(item.kind) + len(item.name.encode()) + len(item.digest)
    if size * 4 // 3 > dsse.MAX_ENVELOPE:  # in base64
        raise too_large(size * 4 // 3, f"{what} has {number} objects to fingerprint")


def too_large(size: int, why: str) -> Refused:
    """The error for a manifest of that many bytes."""
    return Refused(
        f"{why}: its manifest would have {_mib(size)} MiB, and no more than "
        f"{_mib(dsse.MAX_ENVELOPE)} MiB can be read back; nothing was stored",
        hint=_HINT,
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.3g}"
