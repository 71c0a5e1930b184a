"""The fingerprint of a server's content: sums of digests over its keys, taken by reading them."""

from __future__ import annotations

from backup_lib.stores.valkey.content.reading import LOG_METHOD, METHOD, take

__all__ = ["LOG_METHOD", "METHOD", "take"]
