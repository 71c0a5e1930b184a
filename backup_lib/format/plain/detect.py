"""What a plain backup file is, by its content first and by its name where that tells nothing."""

from __future__ import annotations

import re
from pathlib import Path

from backup_lib.format.plain import aof, neo4j, rdb, sql_text, tar_members
from backup_lib.format.plain.kinds import PlainKind
from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.format.plain.reading import CHUNK
from backup_lib.stores.postgres import archive_head
from restoreproof.errors import Inconclusive, JudgedBad

HEAD_SIZE = 4096

_REPOSITORY_INDEX = re.compile(r"index-\d+|index\.latest")
_PARTS = (
    (re.compile(r"(blob_)?\d+\.dat(\.\w+)?|blobs(_\d+)?\.toc"), PlainKind.POSTGRES_DIRECTORY),
    (re.compile(r".+\.\d+\.(base|incr)\.(rdb|aof)"), PlainKind.VALKEY_AOF),
    (re.compile(r"(snap|meta)-.+\.dat"), PlainKind.OPENSEARCH_REPOSITORY),
)
"""Names that lie in such a folder only."""
_BY_NAME = (
    ("neo4j.dump", PlainKind.NEO4J_DUMP),
    (".snapshot", PlainKind.QDRANT_SNAPSHOT),
    (".sql", PlainKind.POSTGRES_SQL),
    (".json", PlainKind.JSON),
    (".jsonl", PlainKind.JSON),
    (".rdb", PlainKind.VALKEY_RDB),
    (".dump", PlainKind.POSTGRES_CUSTOM),
    (".pgdump", PlainKind.POSTGRES_CUSTOM),
)
_COMPRESSED_SUFFIXES = {".gz": "gzip", ".zst": "zstd"}


def compression_of_name(path: Path) -> str:
    """``gzip`` or ``zstd`` where the name says so, else empty."""
    return _COMPRESSED_SUFFIXES.get(path.suffix.lower(), "")


def kind_of(path: Path) -> PlainKind:
    """What is at ``path``.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir():
        return _of_folder(path)
    with path.open("rb") as file:
        head = file.read(CHUNK)
    plain = _plain_head(head)
    kind = _of_content(plain) or _of_name(path)
    if kind is PlainKind.UNKNOWN and plain is not head:
        return PlainKind.COMPRESSED
    return kind


def _of_folder(folder: Path) -> PlainKind:
    names = {entry.name for entry in folder.iterdir()}
    if "toc.dat" in names:
        return PlainKind.POSTGRES_DIRECTORY
    if any(name.endswith(aof.MANIFEST_SUFFIX) for name in names):
        return PlainKind.VALKEY_AOF
    if any(map(_REPOSITORY_INDEX.fullmatch, names)):
        return PlainKind.OPENSEARCH_REPOSITORY
    for part, kind in _PARTS:
        if any(map(part.fullmatch, names)):
            return kind  # what holds it together is missing, which its check finds
    if folder.name == "appendonlydir":
        return PlainKind.VALKEY_AOF
    return PlainKind.UNKNOWN


def _plain_head(stored: bytes) -> bytes:
    """The first plain bytes; ``stored`` itself where it is not compressed."""
    stream = PlainStream([stored])
    if not stream.compression:
        return stored
    plain = b""
    try:
        for piece in stream:
            plain += piece
            if len(plain) >= HEAD_SIZE:
                break
    except (JudgedBad, Inconclusive):
        # cut on purpose, or damaged: what came out so far will do, the check finds the rest
        pass
    return plain


def _of_content(head: bytes) -> PlainKind | None:
    if head.startswith(archive_head.MAGIC):
        return PlainKind.POSTGRES_CUSTOM
    if rdb.MAGIC.match(head):
        return PlainKind.VALKEY_RDB
    if head[:4] in neo4j.MAGICS:
        return PlainKind.NEO4J_DUMP
    if head[tar_members.MAGIC_OFFSET :].startswith(tar_members.MAGIC):
        return _of_tar(head)
    if sql_text.BEGINNING.search(head[:HEAD_SIZE]):
        return PlainKind.POSTGRES_SQL
    return None


def _of_tar(head: bytes) -> PlainKind | None:
    first = head[:100].partition(b"\0")[0]
    if first == b"toc.dat":
        return PlainKind.POSTGRES_TAR
    if re.match(rb"\d+/|config\.json$|version\.info$|.*\.snapshot$", first):
        return PlainKind.QDRANT_SNAPSHOT
    return None


def _of_name(path: Path) -> PlainKind:
    name = path.name.lower()
    for suffix in _COMPRESSED_SUFFIXES:
        name = name.removesuffix(suffix)
    for ending, kind in _BY_NAME:
        if name.endswith(ending):
            return kind
    return PlainKind.UNKNOWN
