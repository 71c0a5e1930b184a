"""JSON Schemas of the format, as committed under ``docs/schemas``.

After a change of the models: ``python -m backup_lib.format.schemas docs/schemas``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backup_lib.format.document import ManifestDocument
from backup_lib.format.manifest import SCHEMA_PATTERNS
from restoreproof.proof import Statement

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> Mapping[str, str]:
    """Text by file name."""
    manifest = ManifestDocument.model_json_schema()
    for (owner, field), pattern in SCHEMA_PATTERNS.items():
        manifest["$defs"][owner]["properties"][field]["pattern"] = f"^{pattern}$"
    return {
        "manifest.v1.schema.json": _text("urn:restoreproof:schema:manifest:v1", manifest),
        "proof.v1.schema.json": _text(
            "urn:restoreproof:schema:proof:v1", Statement.model_json_schema(by_alias=True)
        ),
    }


def _text(identity: str, schema: dict[str, Any]) -> str:
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part:  # the one encoding writes every field, the empty ones too
            part["required"] = list(part["properties"])
            for field in part["properties"].values():
                field.pop("default", None)
    return json.dumps({"$schema": _DIALECT, "$id": identity, **schema}, indent=2) + "\n"


if __name__ == "__main__":
    for name, text in documents().items():
        (Path(sys.argv[1]) / name).write_text(text)
