"""Qdrant snapshots: the side file with the digest, and the archives in the archive.

A collection snapshot is a tar with ``config.json``, ``version.info`` and a folder a shard, whose
segments are tars again. A full snapshot is a tar of collection snapshots with a ``config.json``
that names them. The digest (SHA-256) lies beside the file as ``NAME.checksum``; there is none
inside.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from backup_lib.byte_source import ByteSource
from backup_lib.format.plain.tar_members import Member, members
from restoreproof.errors import Inconclusive, JudgedBad

CHECKSUM_SUFFIX = ".checksum"

_SEGMENT = ".tar"
_ARCHIVES = (_SEGMENT, ".snapshot")
_DEEPEST = 3
_LARGEST_JSON = 1 << 24
_SHARD = re.compile(r"(\d+)/shard_config\.json")
_VERSION = re.compile(rb"\d+\.\d+\.\d+\S*\s*")
_HINT = "take another copy of the snapshot"


def check(path: Path, stored: Iterator[bytes]) -> str:
    """Read a whole snapshot, and the digest beside it where there is one."""
    expected = _digest_beside(path)
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for chunk in stored:
            digest.update(chunk)
            yield chunk

    what = _archive(ByteSource(hashed()), 1)
    if expected is None:
        return (
            f"{what}, whole; no {path.name}{CHECKSUM_SUFFIX} lies beside it, so a changed byte may "
            "go unnoticed: only a restore shows it"
        )
    if digest.hexdigest() != expected:
        raise JudgedBad("its SHA-256 is not the one in the file beside it", hint=_HINT)
    return f"{what}; its SHA-256 is the one in {path.name}{CHECKSUM_SUFFIX}"


def _digest_beside(path: Path) -> str | None:
    beside = path.with_name(path.name + CHECKSUM_SUFFIX)
    if not beside.is_file():
        return None
    with beside.open("rb") as file:
        words = file.read(1024).decode("ascii", "replace").split()
    if not words or not re.fullmatch("[0-9a-fA-F]{64}", words[0]):
        raise Inconclusive(f"{beside.name} holds no SHA-256", hint="fetch it from the server anew")
    return words[0].lower()


def _archive(source: ByteSource, depth: int, *, end_mark: bool = True) -> str:
    """Read one archive wholly; what it is."""
    if depth > _DEEPEST:
        raise Inconclusive("archives are nested deeper in it than in any snapshot known")
    names: set[str] = set()
    documents: dict[str, object] = {}
    for member in members(source, end_mark=end_mark):
        names.add(member.name)
        if member.name.endswith(_ARCHIVES) and member.is_file:
            _nested(member, depth)
        elif member.name.endswith(".json"):
            documents[member.name] = _json(member)
        elif member.name == "version.info" and not _VERSION.fullmatch(b"".join(member.data)[:100]):
            raise JudgedBad("version.info holds no version", hint=_HINT)
    if depth > 1 and "config.json" not in names:
        return "a segment"
    return _described(names, documents.get("config.json"))


def _nested(member: Member, depth: int) -> None:
    # segments (.tar) are written without the mark at the end: looked at in a snapshot of 1.18
    end_mark = not member.name.endswith(_SEGMENT)
    try:
        _archive(ByteSource(member.data), depth + 1, end_mark=end_mark)
    except (JudgedBad, Inconclusive) as error:
        raise type(error)(f"{member.name}: {error.message}", hint=error.hint) from error


def _json(member: Member) -> object:
    if member.size > _LARGEST_JSON:
        raise Inconclusive(f"{member.name} is larger than any known")
    try:
        return json.loads(b"".join(member.data))
    except (ValueError, RecursionError) as error:
        raise JudgedBad(f"{member.name} is damaged", hint=_HINT) from error


def _described(names: set[str], config: object) -> str:
    match config:
        case {"collections_mapping": dict(mapping)}:
            missing = [name for name in mapping.values() if name not in names]
            if missing:
                raise JudgedBad(f"it names {missing[0]!r}, which is missing in it", hint=_HINT)
            return f"a full snapshot of {len(mapping)} collections"
        case {"params": dict()} if "version.info" in names:
            shards = sum(1 for name in names if _SHARD.fullmatch(name))
            if not shards:
                raise JudgedBad("it holds no shard", hint=_HINT)
            return f"a collection snapshot of {shards} shards"
    raise Inconclusive(
        "its layout is not that of a Qdrant snapshot as far as known",
        hint="restore it into a server to know",
    )
