"""The settings of ``[destination.NAME]`` with ``kind = "local"``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ByteSize, ConfigDict, Field


class LocalSettings(BaseModel):
    """Backup sets in a folder of this machine, or of a mounted disk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(
        description="An existing folder; relative to the configuration file. It is never made by "
        "itself: a disk that is not mounted would look the same."
    )
    reserve: ByteSize = Field(
        default=ByteSize(64 << 20),
        ge=0,
        description='Free space that is left alone, such as "10GiB".',
    )
