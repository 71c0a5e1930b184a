"""The settings of ``[store.NAME]`` with ``kind = "valkey"``."""

from __future__ import annotations

from restoreproof.config.model import ConfigPath
from restoreproof.valkey_client import ValkeyAccess


class ValkeyStoreSettings(ValkeyAccess):
    """One Valkey server: all of its logical databases, whatever number the URL ends with."""

    programs: ConfigPath | None = None
    """Folder of the ``valkey-server`` that the fingerprint is taken with; looked for if None."""
