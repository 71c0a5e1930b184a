"""An ``appendonlydir``: the manifest, and every part that it names.

The base is an RDB file or commands, or an RDB file with commands behind it (a server that was
upgraded from the single file of Redis 6); increments are commands, which carry no checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from backup_lib.byte_source import ByteSource, EndsTooEarly
from backup_lib.format.plain import rdb
from backup_lib.stores.valkey.aof import manifest
from backup_lib.stores.valkey.aof.commands import walk
from restoreproof.errors import Inconclusive, JudgedBad

MANIFEST_SUFFIX = manifest.SUFFIX

_TAIL_HINT = (
    "a copy of a living server may end so, and so does a file that was cut: look for a full disk "
    "or a killed process when it was made; a server with aof-load-truncated yes (the default) "
    "drops the half command at the very end and loads the rest, as a restore does"
)


def check(folder: Path, read: Callable[[Path], Iterator[bytes]]) -> str:
    """Read all parts of a folder; ``read`` opens one of its files."""
    path = manifest.manifest_of(folder)
    if path is None:
        raise JudgedBad(
            "it has not exactly one manifest", hint="copy the whole folder, manifest included"
        )
    if path.stat().st_size > manifest.LARGEST:
        raise Inconclusive("its manifest is larger than any real one")
    parts = manifest.parts_of(b"".join(read(path)))
    commands = 0
    for part in parts:
        file = folder / part.name
        if not file.is_file() or file.is_symlink():
            raise JudgedBad(
                f"{part.name} is missing, and the manifest names it", hint=manifest.DAMAGED_HINT
            )
        source = ByteSource(read(file))
        try:
            if part.is_rdb:
                rdb.check(source.rest())
            elif rdb.MAGIC.match(source.peek(rdb.MAGIC_SIZE)):
                raise Inconclusive(
                    "is an RDB file with commands behind it, which only a server tells apart",
                    hint="restore it; the next rewrite of the server's makes two files of it",
                )
            else:
                commands += sum(1 for _ in walk(source))
        except (JudgedBad, Inconclusive) as error:
            tail = isinstance(error, EndsTooEarly) and part is parts[-1]
            hint = _TAIL_HINT if tail else error.hint
            raise type(error)(f"{part.name}: {error.message}", hint=hint) from error
    return (
        f"{len(parts)} parts as the manifest says, {commands} commands; commands carry no "
        "checksum, so a changed byte may go unnoticed: only a restore shows it"
    )
