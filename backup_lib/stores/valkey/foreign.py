"""RDB files that some other tool made: no manifest, no fingerprint, only the file."""

from __future__ import annotations

from pathlib import Path

from backup_lib.model import Target
from backup_lib.stores.base import Restored
from backup_lib.stores.valkey.disposable import load_stream
from backup_lib.stores.valkey.rdb import MAGIC_SIZE, is_foreign
from backup_lib.work import Work
from restoreproof.errors import Inconclusive


def restore_rdb(path: Path, target: Target, work: Work) -> Restored:
    """Load an RDB file that some other tool made into a disposable server.

    Args:
        path: the plain file.
        target: a sandbox.
        work: the circumstances.

    Raises:
        JudgedBad: the server refuses it.
        Inconclusive: it is of a format that no Valkey loads.
        Unreachable: the server is the trouble.
    """
    with path.open("rb") as stream:
        magic = stream.read(MAGIC_SIZE)
        if is_foreign(magic):
            raise Inconclusive(
                f"the file is of the format {magic.decode('ascii')}, which Redis 7.4 and newer "
                "write and Valkey does not load",
                hint="restore it with a server of the kind that wrote it",
            )
        stream.seek(0)
        load_stream(stream, target, work, total=path.stat().st_size)
    return Restored(target, notes=("ACL users and settings are no part of an RDB file",))
