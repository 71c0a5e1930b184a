"""The folder of an OpenSearch snapshot repository: every blob that a snapshot needs, and its CRC.

``index-N`` (JSON, the highest N) names the snapshots and indices; ``snap-UUID.dat`` and
``meta-UUID.dat`` describe a snapshot, ``indices/ID/meta-….dat`` an index, and in each shard's
folder ``snap-UUID.dat`` lists the data files with length and checksum. Shard folders are found
wherever they lie: newer versions put them under a hash. ``index-N`` itself carries no checksum.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backup_lib.format.plain.lucene_blob import check_footer, checked_metadata
from restoreproof.errors import Inconclusive, JudgedBad

_GENERATION = re.compile(r"index-(\d+)")
_LARGEST_INDEX = 1 << 26
_LATEST_SIZE = 8
_SUCCESS = 1
_VIRTUAL = "v__"
_HINT = "take another copy of the repository, whole"

Read = Callable[[Path], Iterator[bytes]]


@dataclass
class _Walk:
    """One pass over a repository; each blob is read once, however many snapshots share it."""

    root: Path
    read: Read
    shard_folders: Mapping[tuple[str, str], Path]
    checked: set[Path] = field(default_factory=set)

    def metadata(self, path: Path) -> Any:  # noqa: ANN401  a document of another software
        """The content of a metadata blob."""
        self.checked.add(path)
        return checked_metadata(self._name(path), self._stored(path))

    def data(self, folder: Path, entry: Mapping[str, Any]) -> None:
        """A data file as the list of its shard describes it."""
        name, length, part_size = entry["name"], entry["length"], entry["part_size"]
        if name.startswith(_VIRTUAL):
            return  # its content stands in the list itself
        parts = -(-length // part_size)
        first = folder / name
        paths = [first] if parts <= 1 else [folder / f"{name}.part{n}" for n in range(parts)]
        if paths[0] in self.checked:
            return
        self.checked.update(paths)
        stored = (chunk for path in paths for chunk in self._stored(path))
        size, crc = check_footer(self._name(first), stored)
        if size != length or crc != int(entry["checksum"], 36):
            raise JudgedBad(f"{self._name(first)} is not the file that is listed", hint=_HINT)

    def _stored(self, path: Path) -> Iterator[bytes]:
        if not path.is_file() or path.is_symlink():
            raise JudgedBad(f"{self._name(path)} is missing", hint=_HINT)
        yield from self.read(path)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def check(root: Path, read: Read) -> str:
    """Read a whole repository; ``read`` opens one of its files."""
    index = _index(root, read)
    folders = {
        (folder.parent.name, folder.name): folder
        for folder in root.glob("**/indices/*/*")
        if folder.is_dir()
    }
    walk = _Walk(root, read, folders)
    try:
        _generations(walk, index)
        partial = [
            snapshot["name"]
            for snapshot in index["snapshots"]
            if not _snapshot(walk, index, snapshot)
        ]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Inconclusive(
            "its layout is not the one that is known", hint="restore it into a server to know"
        ) from error
    if not index["snapshots"]:
        raise JudgedBad("it holds no snapshot", hint="look why none was made")
    if partial:
        raise Inconclusive(
            f"the snapshot {partial[0]} is not complete: some shards were never taken",
            hint="look at the health of the cluster, and make it anew",
        )
    return (
        f"{len(index['snapshots'])} snapshots; every file that they need is there, and agrees with "
        f"its CRC-32 ({len(walk.checked)} files); the list of snapshots itself carries no checksum"
    )


def _index(root: Path, read: Read) -> Mapping[str, Any]:
    generations = [
        int(found[1]) for entry in root.iterdir() if (found := _GENERATION.fullmatch(entry.name))
    ]
    if not generations:
        raise JudgedBad("it holds no index-N, the list of its snapshots", hint=_HINT)
    latest = root / "index.latest"
    if latest.is_file():
        number = b"".join(read(latest))
        if len(number) != _LATEST_SIZE:
            raise JudgedBad("index.latest is damaged", hint=_HINT)
        if int.from_bytes(number, "big") > max(generations):
            raise JudgedBad("the newest list of its snapshots is missing", hint=_HINT)
    path = root / f"index-{max(generations)}"
    if path.stat().st_size > _LARGEST_INDEX:
        raise Inconclusive(f"{path.name} is larger than {_LARGEST_INDEX >> 20} MiB")
    try:
        index = json.loads(b"".join(read(path)))
    except (ValueError, RecursionError) as error:
        raise JudgedBad(f"{path.name} is damaged", hint=_HINT) from error
    if not isinstance(index, dict) or not isinstance(index.get("snapshots"), list):
        raise Inconclusive(f"the layout of {path.name} is not the one that is known")
    return index


def _generations(walk: _Walk, index: Mapping[str, Any]) -> None:
    """Check the list of all snapshots in each shard's folder: the next snapshot builds on it."""
    for name, described in index["indices"].items():
        for shard, generation in enumerate(described.get("shard_generations", ())):
            if generation is None:
                continue
            folder = walk.shard_folders.get((described["id"], str(shard)))
            if folder is None:
                raise JudgedBad(f"shard {shard} of the index {name} is missing", hint=_HINT)
            walk.metadata(folder / f"index-{generation}")


def _snapshot(walk: _Walk, index: Mapping[str, Any], snapshot: Mapping[str, Any]) -> bool:
    """Check all that one snapshot needs; whether it is complete."""
    uuid = snapshot["uuid"]
    whole = bool(snapshot.get("state", _SUCCESS) == _SUCCESS)
    described = walk.metadata(walk.root / f"snap-{uuid}.dat")["snapshot"]
    if described["uuid"] != uuid:
        raise JudgedBad(f"snap-{uuid}.dat is that of another snapshot", hint=_HINT)
    walk.metadata(walk.root / f"meta-{uuid}.dat")
    for name in described["indices"]:
        identity = index["indices"][name]["id"]
        for shard in range(_shards(walk, index, snapshot, identity, name)):
            folder = walk.shard_folders.get((identity, str(shard)))
            listing = folder / f"snap-{uuid}.dat" if folder else None
            if not whole and (listing is None or not listing.exists()):
                continue
            if folder is None or listing is None:
                raise JudgedBad(f"shard {shard} of the index {name} is missing", hint=_HINT)
            for entry in walk.metadata(listing)["files"]:
                walk.data(folder, entry)
    return whole


def _shards(
    walk: _Walk, index: Mapping[str, Any], snapshot: Mapping[str, Any], identity: str, name: str
) -> int:
    """Number of shards that the index had in that snapshot."""
    lookup = snapshot.get("index_metadata_lookup")
    if lookup is None:  # before 7.9 of the common ancestor
        blob = snapshot["uuid"]
    else:
        blob = index["index_metadata_identifiers"][lookup[identity]]
    folder = walk.root / "indices" / identity
    settings = walk.metadata(folder / f"meta-{blob}.dat")[name]["settings"]
    return int(settings["index.number_of_shards"])
