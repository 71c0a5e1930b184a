"""The settings of ``[store.NAME]`` with ``kind = "valkey"``."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from restoreproof.config.model import ConfigPath
from restoreproof.valkey_client import ValkeyAccess


class ValkeyStoreSettings(ValkeyAccess):
    """One Valkey server: all of its logical databases, whatever number the URL ends with."""

    format: Literal["rdb", "aof"] = "rdb"
    """``rdb``: what the server sends to a replica. ``aof``: its append-only file, which has to be
    readable here."""

    aof_folder: ConfigPath | None = None
    """The server's ``appendonlydir`` as this machine sees it, for ``format = "aof"``; asked for if
    None, where the server is on this machine."""

    programs: ConfigPath | None = None
    """Folder of the ``valkey-server`` that the fingerprint is taken with; looked for if None."""

    @model_validator(mode="after")
    def _folder_of_what(self) -> ValkeyStoreSettings:
        if self.aof_folder is not None and self.format != "aof":
            raise ValueError('aof_folder is for format = "aof"')
        return self
