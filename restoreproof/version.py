"""This software's name and version, as written into manifests and proofs."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed version, or ``0+source`` when run from a checkout that is not installed."""
    try:
        return metadata.version("restoreproof")
    except metadata.PackageNotFoundError:
        return "0+source"


def tool() -> str:
    """Name and version of the writer, such as ``restoreproof 0.7.0``."""
    return f"restoreproof {version()}"
