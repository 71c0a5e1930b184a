"""JSON Schema (2020-12) of the configuration, out of the models that check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from restoreproof.config.model import Settings
from restoreproof.config.plugins import P
from restoreproof.errors import MissingExtra
from restoreproof.kinds import Kinds

Schema: TypeAlias = dict[str, Any]


class SchemaBuilder:
    """Collects the schemas of tables, and the definitions that they share."""

    def __init__(self) -> None:
        self._definitions: dict[str, Schema] = {}
        self._properties: dict[str, Schema] = {}

    def table(self, name: str, model: type[BaseModel]) -> None:
        """A table ``[name]``."""
        self._properties[name] = self._model(name, model)

    def keys(self, model: type[BaseModel]) -> None:
        """Keys above all tables."""
        self._properties.update(self._model("root", model)["properties"])

    def named_tables(self, name: str, model: type[BaseModel]) -> None:
        """Tables ``[name.…]``."""
        self._properties[name] = _named(self._model(name, model))

    def plugins(self, name: str, kinds: Kinds[P], common: type[Settings]) -> None:
        """Tables ``[name.…]`` whose keys depend on ``kind``."""
        shared = self._model(name, common).get("properties", {})
        alternatives = [self._kind(name, kind, kinds, shared) for kind in kinds.names()]
        self._properties[name] = _named({"type": "object", "oneOf": alternatives})

    def other(self, names: Mapping[str, str]) -> None:
        """Tables that are known but described elsewhere, with what each is for."""
        for name, description in names.items():
            self._properties.setdefault(name, {"description": description})

    def build(self, title: str) -> Schema:
        """The whole schema."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title,
            "type": "object",
            "properties": dict(sorted(self._properties.items())),
            "additionalProperties": False,
            "$defs": dict(sorted(self._definitions.items())),
        }

    def _kind(self, table: str, kind: str, kinds: Kinds[P], shared: Schema) -> Schema:
        constant = {"kind": {"const": kind}}
        try:
            model = kinds.make(kind, lambda plugin: plugin.settings())
        except MissingExtra as missing:
            # known, but what it takes can only be told where its client is installed
            return {"properties": constant, "required": ["kind"], "description": missing.hint}
        found = self._model(f"{table}.{kind}", model)
        return {
            **found,
            "properties": {**constant, **shared, **found.get("properties", {})},
            "required": ["kind", *found.get("required", [])],
        }

    def _model(self, prefix: str, model: type[BaseModel]) -> Schema:
        found = model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
        for name, definition in found.pop("$defs", {}).items():
            self._definitions[f"{prefix}.{name}"] = definition
        return found


def _named(one: Schema) -> Schema:
    return {"type": "object", "additionalProperties": one}
