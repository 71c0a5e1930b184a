"""Quantities written for people."""

from __future__ import annotations


def readable_size(count: float) -> str:
    """Bytes in powers of 1024: ``813 B``, ``4.1 MiB``."""
    if count < 1024:
        return f"{int(count)} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        count /= 1024
        if count < 1024 or unit == "TiB":
            break
    return f"{count:.1f} {unit}"
