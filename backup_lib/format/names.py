"""Where things lie inside a stored set."""

from __future__ import annotations

from restoreproof.pathnames import encode_component, encode_path

ZSTD_SUFFIX = ".zst"


def artifact_name(store: str, name: str) -> str:
    """The stored name of artifact ``name`` (``/`` allowed) of ``store``.

    Raises:
        UsageError: one of the names cannot be stored.
    """
    return f"{encode_component(store)}/{encode_path(name)}{ZSTD_SUFFIX}"
