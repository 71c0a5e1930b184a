"""The kinds of stores, destinations and sandboxes."""

from __future__ import annotations

from backup_lib.destinations.base import DestinationPlugin
from backup_lib.sandboxes.base import SandboxPlugin
from backup_lib.stores.base import StorePlugin
from restoreproof.kinds import Kinds

STORES: Kinds[StorePlugin] = Kinds(
    group="restoreproof.stores",
    builtin={
        "postgres": "backup_lib.stores.postgres:PostgresStore",
        "valkey": "backup_lib.stores.valkey:ValkeyStore",
    },
    extra={"postgres": "postgres", "valkey": "valkey"},
)

DESTINATIONS: Kinds[DestinationPlugin] = Kinds(
    group="restoreproof.destinations",
    builtin={"local": "backup_lib.destinations.local:LocalDestination"},
)

SANDBOXES: Kinds[SandboxPlugin] = Kinds(
    group="restoreproof.sandboxes",
    builtin={"process": "backup_lib.sandboxes.process:ProcessSandbox"},
    noun="sandbox",
)
