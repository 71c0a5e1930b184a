"""A rehearsed restore of a plain file: the same rehearsal as that of a set, other material.

There is no manifest. What the file says about itself takes its place, for the pre-check; a
fingerprint of the source, where the caller has one, is what the content is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NoReturn

from backup_lib.format.plain.plain_file import PlainFile
from backup_lib.kinds import STORES
from backup_lib.model import (
    Comparison,
    Fingerprint,
    Gap,
    Rung,
    RungResult,
    ServerFacts,
    StoreRecord,
    Target,
)
from backup_lib.sandboxes.base import Sandbox, ServerRecipe
from backup_lib.services.amounts import amount_in
from backup_lib.services.plain_files import PlainKind, not_restorable, restorer_of
from backup_lib.services.rehearsal import Rehearser
from backup_lib.stores.base import (
    ArtifactSource,
    AssertionResult,
    ForeignPlugin,
    ForeignRestorer,
    Restored,
    RestoreOptions,
    Restorer,
)
from backup_lib.work import Work
from restoreproof.atomic import space_error
from restoreproof.errors import (
    Inconclusive,
    InternalError,
    JudgedBad,
    MissingExtra,
    RestoreproofError,
    Unreachable,
    UsageError,
)
from restoreproof.verdict import Verdict


@dataclass(frozen=True, slots=True)
class FileRehearsal:
    """What came of a rehearsal.

    Attributes:
        rungs: ``restore``, and ``content`` where there was something to compare with.
        content: the fingerprint of the restored copy; None where it came to none.
        comparison: with the expected fingerprint.
    """

    rungs: tuple[RungResult, ...]
    content: Fingerprint | None = None
    comparison: Comparison | None = None


def rehearse_file(
    path: Path,
    kind: PlainKind,
    sandbox: Sandbox,
    work: Work,
    *,
    expected: Fingerprint | None = None,
) -> FileRehearsal:
    """Restore a plain file into a disposable server, and look at what came out.

    Args:
        path: the file or folder.
        kind: what it is.
        sandbox: where the server runs.
        work: listeners, clock, limits.
        expected: taken at the source; the content is compared with it.

    Returns:
        verdicts; never raises for a bad backup or for bad infrastructure. A copy without one row
        in it is ``inconclusive``, unless the expected fingerprint says that it is right so.

    Raises:
        Interrupted: ``work.cancel`` was requested.
    """
    plugin = restorer_of(kind)
    if plugin is None:
        unable = not_restorable(path, kind)
        assert unable is not None
        return FileRehearsal((unable,))
    file = PlainFile(path, kind, work)
    try:
        foreign, own = _restorers(plugin, kind)
        record = foreign.describe(file)
    except JudgedBad as bad:
        return FileRehearsal((_result(Verdict.FAILED, bad),))
    except (Inconclusive, Unreachable) as unknown:
        return FileRehearsal((_result(Verdict.INCONCLUSIVE, unknown),))
    except OSError as error:
        unreadable = Inconclusive(f"{path.name} cannot be read: {error.strerror or error}")
        return FileRehearsal((_result(Verdict.INCONCLUSIVE, unreadable),))
    record = replace(record, backup=replace(record.backup, fingerprint=expected))
    restorer = _FileRestorer(own, foreign, file)
    rehearsal = Rehearser(
        restorer=restorer,
        source=_Described(record),
        sandbox=sandbox,
        assertions=(),
        depth=Rung.RESTORE if expected is None else Rung.CONTENT,
        work=work,
    ).rehearse()
    first, *above = rehearsal.rungs
    if first.verdict is Verdict.PASSED and restorer.content:
        first = replace(first, reason=f"{first.reason}: {amount_in(restorer.content)}")
    return FileRehearsal((first, *above), restorer.content, rehearsal.comparison)


def _restorers(plugin: type[ForeignPlugin], kind: PlainKind) -> tuple[ForeignRestorer, Restorer]:
    try:
        return STORES.make(kind.store, lambda _plugin: (plugin.foreign(), plugin.restorer()))
    except MissingExtra as missing:
        raise Inconclusive(missing.message, hint=missing.hint) from missing


@dataclass(slots=True)
class _FileRestorer:
    """A restorer whose artifact is a file of another tool."""

    restorer: Restorer
    foreign: ForeignRestorer
    file: PlainFile
    content: Fingerprint | None = None

    def recipe(self, record: StoreRecord) -> ServerRecipe:
        return self.restorer.recipe(record)

    def gaps(self, record: StoreRecord, offers: ServerFacts) -> tuple[Gap, ...]:
        return self.restorer.gaps(record, offers)

    def place(self, target: Target, options: RestoreOptions) -> str:
        return self.restorer.place(target, options)

    def restore(
        self,
        source: ArtifactSource,
        target: Target,
        options: RestoreOptions,  # noqa: ARG002  a file is restored as it is
        work: Work,
    ) -> Restored:
        self.content = None
        try:
            restored = self.foreign.restore_file(self.file, target, work)
        except UsageError as error:  # no tool: says nothing about the file
            raise Inconclusive(error.message, hint=error.hint) from error
        except OSError as error:
            raise space_error(error, work.scratch) or Inconclusive(
                f"reading {self.file.path.name}, or writing to {work.scratch}, broke off: "
                f"{error.strerror or error}",
                hint="check that both are there, their permissions and their disks",
            ) from error
        self.content = self.restorer.fingerprint(source.record, restored.target, work)
        nothing = not any(item.count for item in self.content.items)
        if nothing and source.record.backup.fingerprint is None:
            raise Inconclusive(
                f"it restores without an error, and holds nothing "
                f"({amount_in(self.content)}): nothing is proven",
                hint="was only the schema dumped, or the wrong database or server?",
            )
        return restored

    def fingerprint(self, record: StoreRecord, target: Target, work: Work) -> Fingerprint:  # noqa: ARG002  it was taken right after the restore
        assert self.content is not None
        return self.content

    def check_assertions(
        self, target: Target, assertions: Sequence[str], work: Work
    ) -> tuple[AssertionResult, ...]:
        return self.restorer.check_assertions(target, assertions, work)


@dataclass(frozen=True, slots=True)
class _Described:
    """In the place of a set's artifacts: there are none."""

    record: StoreRecord

    def open(self, role: str) -> AbstractContextManager[BinaryIO]:
        _no_artifact(role)

    def stage(self, role: str, folder: Path) -> Path:  # noqa: ARG002  there is nothing to stage
        _no_artifact(role)


def _no_artifact(role: str) -> NoReturn:
    raise InternalError(f"a plain file has no artifact {role!r}")


def _result(verdict: Verdict, error: RestoreproofError) -> RungResult:
    return RungResult(Rung.RESTORE, verdict, error.message, error.hint)
