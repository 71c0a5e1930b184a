"""The types of plain backups as people name them: a kind, or just the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backup_lib.kinds import STORES
from backup_lib.services.plain_files import PlainKind, detect
from restoreproof.errors import Inconclusive, JudgedBad, UsageError
from restoreproof.kinds import did_you_mean


@dataclass(frozen=True, slots=True)
class PlainType:
    """What a plain backup has to be; nothing is demanded where both are left out.

    Attributes:
        kind: exactly this.
        store: any kind that restores into this kind of store.
    """

    kind: PlainKind | None = None
    store: str = ""

    @classmethod
    def named(cls, word: str | None) -> PlainType:
        """``postgres-custom``, ``valkey-rdb`` …, the name of a store, or None for whatever it is.

        Raises:
            UsageError: there is no such type.
        """
        if word is None:
            return cls()
        kinds = [kind for kind in PlainKind if kind is not PlainKind.UNKNOWN]
        stores = sorted({*STORES.names(), *(kind.store for kind in kinds if kind.store)})
        if word in kinds:
            return cls(kind=PlainKind(word))
        if word in stores:
            return cls(store=word)
        known = (*stores, *map(str, kinds))
        raise UsageError(
            f'there is no type of backup "{word}"',
            hint=f"{did_you_mean(word, known)} known types: {', '.join(known)}".strip(),
        )

    def admits(self, found: PlainKind) -> bool:
        """Whether a file that looks like that may be meant, where there are several."""
        if self.kind is not None:
            return found is self.kind or not found.store
        return not self.store or found.store in ("", self.store)

    def of(self, path: Path) -> PlainKind:
        """The kind of the backup at ``path``.

        Raises:
            JudgedBad: it belongs to another store than the one demanded.
            Inconclusive: whether it belongs to that store cannot be told.
            Unreachable: it is missing or cannot be read.
        """
        if self.kind is not None:
            return self.kind
        found = detect(path)
        if not self.store or found.store == self.store:
            return found
        if found.store:
            raise JudgedBad(
                f"it is {found}, and no backup of {self.store}",
                hint="name the right type, or find out what was stored in its place",
            )
        raise Inconclusive(
            f"whether it is a backup of {self.store} cannot be told by what is in it",
            hint=f"name its exact type, such as {_example(self.store)}",
        )


def _example(store: str) -> str:
    return next((str(kind) for kind in PlainKind if kind.store == store), str(PlainKind.JSON))
