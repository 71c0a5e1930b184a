"""Tables whose keys depend on their ``kind``: some are common to all, the others the plugin's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from restoreproof.config.document import Document, as_json
from restoreproof.config.model import Settings
from restoreproof.errors import UsageError
from restoreproof.kinds import Kinds

C = TypeVar("C", bound=Settings)


class HasSettings(Protocol):
    """Any plugin class."""

    @classmethod
    def settings(cls) -> type[BaseModel]:
        """The model of its table, without ``kind``."""
        ...


P = TypeVar("P", bound=HasSettings)


@dataclass(frozen=True, slots=True)
class Configured(Generic[C]):
    """One named table, checked.

    Attributes:
        kind: which plugin.
        settings: the plugin's model.
        common: the keys that all kinds have.
        written: the table as it was written, with ``kind``; secrets are references in it.
    """

    kind: str
    settings: BaseModel
    common: C
    written: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The table as it was written: references, never secrets."""
        written: dict[str, Any] = json.loads(as_json({"kind": self.kind, **self.written}))
        return written


def read_plugins(
    document: Document, table: str, kinds: Kinds[P], common: type[C]
) -> dict[str, Configured[C]]:
    """All ``[table.NAME]``, each by the model of its kind; problems are noted in the document."""
    checked: dict[str, Configured[C]] = {}
    for name, written in document.table(table).items():
        one = _read(document, (table, name), written, kinds, common)
        if one is not None:
            checked[name] = one
    return checked


def _read(
    document: Document,
    path: tuple[str, ...],
    written: Mapping[str, Any],
    kinds: Kinds[P],
    common: type[C],
) -> Configured[C] | None:
    kind = written.get("kind")
    if not isinstance(kind, str):
        known = ", ".join(f'"{name}"' for name in kinds.names())
        document.note((*path, "kind"), "is missing", f"known kinds: {known}")
        return None
    try:
        model = kinds.make(kind, lambda plugin: plugin.settings())
    except UsageError as error:
        document.note((*path, "kind"), f"is not usable: {error.message}", error.hint)
        return None
    shared = set(common.model_fields) - set(model.model_fields)
    ours = {key: value for key, value in written.items() if key in shared}
    theirs = {key: value for key, value in written.items() if key not in {*shared, "kind"}}
    settings = document.check(model, theirs, path, also_known={*shared, "kind"})
    of_all = document.check(common, ours, path)
    if settings is None or of_all is None:
        return None
    return Configured(kind, settings, of_all, {**theirs, **ours})
