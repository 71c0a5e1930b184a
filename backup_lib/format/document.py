"""The manifest document as pydantic models, apart because pydantic is slow to import."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from backup_lib.format.head import ManifestHead
from backup_lib.model import Manifest


class ManifestDocument(BaseModel):
    """The signed content of ``manifest.dsse.json``: a backup set's manifest."""

    # reaches down into the plain dataclasses of the vocabulary
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal["restoreproof/manifest"]
    version: Literal[1]
    manifest: Manifest


class VersionDocument(BaseModel):
    """What all versions have."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    format: Literal["restoreproof/manifest"]
    version: int


class HeadDocument(VersionDocument):
    """The same, of which only the head is read."""

    version: Literal[1]
    manifest: ManifestHead
