"""The settings of ``[destination.NAME]`` with ``kind = "local"``."""

from __future__ import annotations

from restoreproof.config.model import ConfigPath, Settings, Size


class LocalSettings(Settings):
    """Backup sets in a folder of this machine, or of a mounted disk."""

    path: ConfigPath
    """An existing folder; relative to the configuration file. It is never made by itself: a disk
    that is not mounted would look the same."""
    reserve: Size = 64 << 20
    """Free space that is left alone, such as "10GiB"."""
