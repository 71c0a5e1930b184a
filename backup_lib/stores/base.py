"""The interface of a store plugin.

A plugin is three things behind one kind: its settings (a pydantic model), a *source* that takes
backups with those settings, and a *restorer* that needs no settings at all, only what the manifest
says: a bare machine can restore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Protocol, TypeAlias

from backup_lib.model import (
    Fingerprint,
    Gap,
    NotCovered,
    ServerFacts,
    StoreBackup,
    StoreRecord,
    Target,
)
from backup_lib.work import Work

if TYPE_CHECKING:
    from pydantic import BaseModel

    from backup_lib.sandboxes.base import ServerRecipe


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """What a kind of store can do, as data.

    Attributes:
        proof: the best proof it can give (``exact`` needs one snapshot for backup and fingerprint).
        partial_restore: whether a part (``--only``) can be restored.
        assertions: the language of assertions (``SQL``), or empty where there are none.
        plain_kinds: kinds of plain files, made by other tools, that it restores in a rehearsal; a
            plugin that names some is a :class:`ForeignPlugin`.
    """

    proof: str
    partial_restore: bool
    assertions: str
    plain_kinds: tuple[str, ...] = ()


class ArtifactWriter(Protocol):
    """Takes the plain bytes of one artifact."""

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; may wait for the destination (back pressure)."""
        ...


class ArtifactSink(Protocol):
    """Where a source puts its artifacts. Compression, digest and storage are the sink's concern."""

    def open(
        self, name: str, *, role: str, media_type: str
    ) -> AbstractContextManager[ArtifactWriter]:
        """Open a new artifact; it is stored when the block ends without an error, else dropped.

        Args:
            name: file name without the compression suffix, such as ``database.dump``.
            role: what the restorer looks for.
            media_type: of the plain bytes.
        """
        ...


class ArtifactSource(Protocol):
    """Where a restorer gets artifacts from: checked, decrypted and decompressed."""

    @property
    def record(self) -> StoreRecord:
        """What the manifest says about this store."""
        ...

    def open(self, role: str) -> AbstractContextManager[BinaryIO]:
        """The plain bytes of the artifact with that role, as a stream.

        Raises:
            JudgedBad: while reading, when the stored bytes are not those of the manifest. The error
                comes at the latest at the end of the stream, before the last read returns.
        """
        ...

    def stage(self, role: str, folder: Path) -> Path:
        """The plain bytes as a file in ``folder``, digest checked before it is handed out.

        Raises:
            JudgedBad: the stored bytes are not those of the manifest.
            NoSpace: the folder's disk has not enough room.
        """
        ...


class Source(Protocol):
    """A configured store that backups are taken from."""

    def probe(self) -> ServerFacts:
        """Connect, and say what is there.

        Raises:
            Unreachable: no connection, wrong password, no permission.
        """
        ...

    def backup(self, sink: ArtifactSink, work: Work, *, fingerprint: bool = True) -> StoreBackup:
        """Write all artifacts and, unless told not to, take the fingerprint.

        Raises:
            Unreachable: the server or a tool broke off; nothing may then be published.
            Refused: the source is one that cannot be backed up rightly.
        """
        ...

    def not_backed_up(self, configured: Sequence[Source]) -> tuple[NotCovered, ...]:
        """What lives on the same server and in none of the configured sources (for ``doctor``)."""
        ...

    def target(self) -> Target:
        """Where this store lives, as the target of a restore.

        Raises:
            ConfigError: a secret that its settings refer to is not there.
        """
        ...


Check: TypeAlias = "Callable[[Target], None]"
"""Judges restored content where it can be read; what it raises, it raises against that content."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How to restore.

    Attributes:
        only: names of the parts to restore (tables); empty for all.
        overwrite: existing data may be replaced; the guard has been passed.
        database: restore under this name instead of the target's own.
        globals: restore cluster-wide objects (roles, tablespaces) too.
        check: asked about the whole restored content before anything that exists is replaced; what
            it raises leaves that as it was. Where nothing is replaced it may be left out.
    """

    only: tuple[str, ...] = ()
    overwrite: bool = False
    database: str | None = None
    globals: bool = False
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """The outcome of a restore.

    Attributes:
        target: where the restored content can be read (database name included).
        tolerated: errors of the restore tool on the published allow-list, verbatim.
        notes: remarks for people.
        left_out: what of the backup was not restored, as the store's own server would leave it out;
            part of the verdict's reason.
        checked: the content in the target is the very one that ``RestoreOptions.check`` was asked
            about, and need not be read again.
    """

    target: Target
    tolerated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: str = ""
    checked: bool = False


@dataclass(frozen=True, slots=True)
class AssertionResult:
    """One application assertion: ``held`` is None when it could not be evaluated."""

    text: str
    held: bool | None
    answer: str


class Restorer(Protocol):
    """Restores and reads back one kind of store; knows nothing but the manifest's record."""

    def recipe(self, record: StoreRecord) -> ServerRecipe:
        """How a disposable server for this backup is started."""
        ...

    def gaps(self, record: StoreRecord, offers: ServerFacts) -> tuple[Gap, ...]:
        """What the backup needs and that server lacks; empty when it will do."""
        ...

    def place(self, target: Target, options: RestoreOptions) -> str:
        """The name of the place restored into (a database): what a person types to confirm."""
        ...

    def restore(
        self, source: ArtifactSource, target: Target, options: RestoreOptions, work: Work
    ) -> Restored:
        """Restore into ``target``.

        What ``overwrite`` replaces stays until the whole backup was restored elsewhere and
        ``options.check`` has found nothing against it.

        Raises:
            JudgedBad: the backup cannot be restored, on the evidence of the restore tool.
            Unreachable: the target is away or broke off: says nothing about the backup.
            Refused: the target holds data and ``overwrite`` is not set.
            NoSpace: no room to stage or restore.
        """
        ...

    def fingerprint(self, record: StoreRecord, target: Target, work: Work) -> Fingerprint:
        """The fingerprint of the restored copy, with the method and for the items of the record."""
        ...

    def check_assertions(
        self, target: Target, assertions: Sequence[str], work: Work
    ) -> tuple[AssertionResult, ...]:
        """Evaluate the application's assertions in the restored copy, read-only."""
        ...


class ForeignFile(Protocol):
    """A backup that some other tool made: no manifest, no fingerprint, only the file."""

    @property
    def path(self) -> Path:
        """The file, or the folder of those kinds that are folders; as it is stored."""
        ...

    @property
    def kind(self) -> str:
        """One of :attr:`StoreCapabilities.plain_kinds`."""
        ...

    def open(self) -> AbstractContextManager[BinaryIO]:
        """The plain bytes of a file, decompressed where it is compressed on top.

        Raises:
            JudgedBad: while reading, when the compressed data is damaged or cut.
            Inconclusive: while reading, when it cannot be read.
        """
        ...

    def on_disk(self) -> AbstractContextManager[Path]:
        """The plain bytes as a file, or the folder; a temporary file where it is compressed on top.

        Raises:
            JudgedBad, Inconclusive: as for :meth:`open`.
            NoSpace: there is no room for the temporary file.
        """
        ...


class ForeignRestorer(Protocol):
    """Restores files that some other tool made, into disposable servers only."""

    def describe(self, file: ForeignFile) -> StoreRecord:
        """What the file says about itself, in the form that a manifest would have it.

        ``backup.needs`` is what the pre-check of a sandbox looks at; there are no artifacts.

        Raises:
            JudgedBad, Inconclusive: as for :meth:`ForeignFile.open`.
        """
        ...

    def restore_file(self, file: ForeignFile, target: Target, work: Work) -> Restored:
        """Restore it into a sandbox.

        Raises:
            JudgedBad: it cannot be restored, on the evidence of the restore tool.
            Inconclusive: the server lacks what it needs.
            Unreachable: the server is away or broke off: says nothing about the backup.
            NoSpace: no room to stage or restore.
            UsageError: there is no restore tool.
        """
        ...


class StorePlugin(Protocol):
    """What the kinds table points at. All members are class-level; nothing is imported early."""

    kind: ClassVar[str]
    capabilities: ClassVar[StoreCapabilities]

    @classmethod
    def settings(cls) -> type[BaseModel]:
        """The model of ``[store.NAME]``, without ``kind``."""
        ...

    @classmethod
    def source(cls, name: str, settings: BaseModel, base: Path) -> Source:
        """A source with those settings; ``base`` is the configuration file's folder."""
        ...

    @classmethod
    def restorer(cls) -> Restorer:
        """The restorer of this kind."""
        ...


class ForeignPlugin(StorePlugin, Protocol):
    """A store plugin whose capabilities name plain kinds."""

    @classmethod
    def foreign(cls) -> ForeignRestorer:
        """The restorer of plain files of this kind of store."""
        ...
