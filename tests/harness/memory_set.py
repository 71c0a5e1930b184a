"""Artifacts kept in memory: what a store writes into and a restorer reads from, without a set."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from backup_lib.model import Artifact, StoreBackup, StoreRecord
from restoreproof.errors import JudgedBad


@dataclass
class Kept:
    role: str
    media_type: str
    data: bytes


class MemoryWriter:
    def __init__(self, limit: int | None) -> None:
        self.data = bytearray()
        self._limit = limit

    def write(self, data: bytes | memoryview) -> None:
        self.data += data
        if self._limit is not None and len(self.data) > self._limit:
            raise OSError("the destination broke off")


@dataclass
class MemorySet:
    """A sink, and afterwards a source. An artifact is there only when its block ended well."""

    limit: int | None = None
    kept: dict[str, Kept] = field(default_factory=dict)
    record: StoreRecord = field(init=False)

    @contextmanager
    def _writing(self, name: str, role: str, media_type: str) -> Iterator[MemoryWriter]:
        writer = MemoryWriter(self.limit)
        yield writer
        self.kept[name] = Kept(role, media_type, bytes(writer.data))

    # the sink ----------------------------------------------------------------------------------

    def sink(self) -> MemorySink:
        return MemorySink(self)

    # the source --------------------------------------------------------------------------------

    def finish(
        self, backup: StoreBackup, *, name: str = "orders", kind: str = "postgres"
    ) -> MemorySource:
        artifacts = tuple(
            Artifact(
                name=f"{name}/{file}",
                role=kept.role,
                media_type=kept.media_type,
                size=len(kept.data),
                sha256=hashlib.sha256(kept.data).hexdigest(),
                plain_size=len(kept.data),
                compression="",
            )
            for file, kept in self.kept.items()
        )
        self.record = StoreRecord(name, kind, backup, artifacts)
        return MemorySource(self)


class MemorySink:
    def __init__(self, into: MemorySet) -> None:
        self._into = into

    @contextmanager
    def open(self, name: str, *, role: str, media_type: str) -> Iterator[MemoryWriter]:
        with self._into._writing(name, role, media_type) as writer:
            yield writer


class MemorySource:
    """Reads what was kept; :meth:`damage` alters it behind the digests, :meth:`forge` with them."""

    def __init__(self, kept: MemorySet) -> None:
        self._set = kept

    @property
    def record(self) -> StoreRecord:
        return self._set.record

    def data(self, role: str) -> bytes:
        return self._kept(role).data

    def damage(self, role: str, data: bytes) -> None:
        self._kept(role).data = data

    def forge(self, role: str, data: bytes) -> None:
        """Change it and its digest."""
        self.damage(role, data)
        record = self.record
        self._set.record = replace(
            record,
            artifacts=tuple(
                replace(artifact, size=len(data), sha256=hashlib.sha256(data).hexdigest())
                if artifact.role == role
                else artifact
                for artifact in record.artifacts
            ),
        )

    @contextmanager
    def open(self, role: str) -> Iterator[BinaryIO]:
        yield io.BytesIO(self._kept(role).data)

    def stage(self, role: str, folder: Path) -> Path:
        kept = self._kept(role)
        expected = next(a.sha256 for a in self.record.artifacts if a.role == role)
        if hashlib.sha256(kept.data).hexdigest() != expected:
            raise JudgedBad("the stored bytes are not those of the manifest")
        path = folder / role
        path.write_bytes(kept.data)
        return path

    def _kept(self, role: str) -> Kept:
        return next(kept for kept in self._set.kept.values() if kept.role == role)
