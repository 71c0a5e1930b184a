"""The store ``valkey``: whole servers of Valkey 7.2 to 9, and Redis up to 7.2.

As RDB files or as append-only files. Only this class is imported with the package; valkey and
pydantic come with its methods.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from backup_lib.stores.base import ForeignRestorer, Restorer, Source, StoreCapabilities

if TYPE_CHECKING:
    from restoreproof.config.model import Settings


class ValkeyStore:
    """The plugin."""

    kind: ClassVar[str] = "valkey"
    capabilities: ClassVar[StoreCapabilities] = StoreCapabilities(
        proof="exact",
        partial_restore=False,
        assertions="Valkey commands",
        plain_kinds=("valkey-rdb", "valkey-aof"),
    )

    @classmethod
    def settings(cls) -> type[Settings]:
        from backup_lib.stores.valkey.settings import ValkeyStoreSettings

        return ValkeyStoreSettings

    @classmethod
    def source(cls, name: str, settings: Settings, base: Path) -> Source:
        from backup_lib.stores.valkey.settings import ValkeyStoreSettings
        from backup_lib.stores.valkey.source import ValkeySource

        assert isinstance(settings, ValkeyStoreSettings)
        return ValkeySource(name, settings, base)

    @classmethod
    def restorer(cls) -> Restorer:
        from backup_lib.stores.valkey.restorer import ValkeyRestorer

        return ValkeyRestorer()

    @classmethod
    def foreign(cls) -> ForeignRestorer:
        from backup_lib.stores.valkey.foreign import ValkeyForeign

        return ValkeyForeign()
