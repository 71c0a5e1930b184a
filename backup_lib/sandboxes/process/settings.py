"""The settings of ``[sandbox.NAME]`` with ``kind = "process"``."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from restoreproof.config.model import ConfigPath, Duration, Settings, Size


class ProcessSettings(Settings):
    """A disposable server from programs on this machine."""

    programs: dict[str, ConfigPath] = Field(default_factory=dict)
    """Folder of the server's programs per store kind, such as
    ``{ postgres = "/usr/lib/postgresql/17/bin" }``. Where none is given: the wheel's, then those
    on PATH, then the system's usual folders; the first that suffices for the backup."""

    folder: ConfigPath | None = None
    """Where the servers live while they run: a short path on a disk with room. By default below
    the system's temporary folder."""

    budget: Size | None = None
    """Disk space that one server may take, such as ``"20GB"``; by default what the disk has."""

    start_timeout: Duration = timedelta(minutes=1)
    """How long a server may take until it answers."""

    attempts: int = Field(default=3, ge=1, le=10)
    """How often a start is tried."""
