"""``neo4j-admin database dump``: magic, compressed stream, and what its header promises.

Layout (5.x, looked at in a real dump): ``DZV1`` (zstd) or ``DGV1`` (gzip), then the compressed
stream. In it: four bytes that name the compression, then big-endian int32 version 1, int64 number
of files, int64 sum of their sizes, then a tar archive.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from backup_lib.byte_source import ByteSource
from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.format.plain.tar_members import members
from restoreproof.errors import Inconclusive, JudgedBad

MAGICS = {b"DZV1": "zstd", b"DGV1": "gzip"}

_HEADER = struct.Struct(">4siqq")
_VERSION = 1


def check(stored: Iterator[bytes]) -> str:
    """Read a whole dump."""
    source = ByteSource(stored)
    magic = source.take(4, "in its first bytes")
    if magic not in MAGICS:
        raise JudgedBad(
            "it does not begin as a Neo4j dump does",
            hint="dumps of Neo4j before 5 have no such beginning: only a restore can judge those",
        )
    plain = PlainStream(source.rest())
    if plain.compression != MAGICS[magic]:
        raise JudgedBad("its compressed data is damaged in its first bytes", hint="take a copy")
    inner = ByteSource(plain)
    algorithm, version, files, octets = _HEADER.unpack(inner.take(_HEADER.size, "in its header"))
    if algorithm.decode("latin-1") != MAGICS[magic] or version != _VERSION:
        raise Inconclusive(
            f"the layout of the dump is not known (version {version})",
            hint="neo4j-admin database check --from-path=FOLDER DATABASE reads it",
        )
    found = [member.size for member in members(inner) if member.is_file]
    if (len(found), sum(found)) != (files, octets):
        raise JudgedBad(
            f"it promises {files} files of {octets} bytes and holds {len(found)} of {sum(found)}",
            hint="make the dump anew",
        )
    return f"{files} files as its header says; {plain.protection}"
