"""``dump.rdb`` of Valkey and Redis: what its frame says about it."""

from __future__ import annotations

from collections.abc import Iterable

from backup_lib.stores.valkey.rdb import MAGIC, MAGIC_SIZE, Frame, RdbFrame
from restoreproof.errors import Inconclusive, JudgedBad

__all__ = ["MAGIC", "MAGIC_SIZE", "check"]

_HINTS = {
    Frame.NO_MAGIC: "take another copy of the backup",
    Frame.NO_END: "it was cut: look for a full disk or a killed process when it was made",
    Frame.WRONG_CHECKSUM: "take another copy of the backup",
}


def check(stored: Iterable[bytes]) -> str:
    """Read a whole dump."""
    frame = RdbFrame()
    for chunk in stored:
        frame.add(chunk)
    found = frame.judge()
    if found is Frame.NO_CHECKSUM:
        raise Inconclusive(
            f"it {found.value}, so there is nothing to judge it by",
            hint="set rdbchecksum yes on the server",
        )
    if found is not Frame.WHOLE:
        raise JudgedBad(f"it {found.value}", hint=_HINTS[found])
    return f"{frame.size} bytes agree with the CRC-64 at its end"
