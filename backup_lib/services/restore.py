"""Restore from a backup set: choose, check every byte, restore, and prove what was restored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backup_lib.comparison import compare
from backup_lib.destinations.base import Destination
from backup_lib.format.source import StoredArtifactSource
from backup_lib.model import Comparison, Rung, RungResult, StoreRecord, Target
from backup_lib.services.archive import PublishedSet, choose_set
from backup_lib.services.reading import read_every_byte
from backup_lib.services.rehearsal import judge_content
from backup_lib.services.site import Site
from backup_lib.stores.base import Restored, RestoreOptions, Restorer
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad, Refused, UsageError
from restoreproof.events import Warned, step
from restoreproof.locks import hold
from restoreproof.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What to restore, and where to.

    Attributes:
        set_name: of which set.
        store: which store of it; may be empty where the set has only one.
        backup: id of the set (may be shortened); the newest complete one by default.
        into: the configured store to restore into; the one it came from by default.
        options: only some tables, another database name, overwrite, globals.
        confirm: the target's name, typed in; must be right where ``options.overwrite`` is set.
    """

    set_name: str
    store: str = ""
    backup: str = ""
    into: str = ""
    options: RestoreOptions = RestoreOptions()  # noqa: RUF009 - frozen: safe to share
    confirm: str = ""


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What was restored.

    Attributes:
        set_id: the set it came from.
        store: the store of that set.
        into: the configured store whose server holds the content now.
        place: what it is called there, such as a database.
        restored: notes and tolerated errors.
        content: the judgement over the content, or None where it was not compared.
        comparison: what that judgement rests on.
        not_compared: why there is no judgement over the content; else empty.
        seconds: wall time.
    """

    set_id: str
    store: str
    into: str
    place: str
    restored: Restored
    content: RungResult | None
    comparison: Comparison | None
    not_compared: str
    seconds: float


def restore_set(site: Site, request: RestoreRequest, work: Work) -> RestoreOutcome:
    """Restore one store of a set into a live server, and compare what arrived with the source.

    Every byte is checked against the signed manifest before the target is touched. What is
    overwritten stays until the restored content was compared with the source.

    Raises:
        UsageError: no such set, store, target or table.
        JudgedBad: the backup is damaged, cannot be restored, or is not what was to be put in the
            place of existing data; the target is as it was.
        Inconclusive: what was to be put in the place of existing data could not be compared; the
            target is as it was.
        Refused: the target holds data, and overwriting was not asked for or not confirmed.
        Unreachable: the destination or the target is away or broke off.
        NoSpace: no room to restore.
    """
    begun = work.clock.monotonic()
    plan = site.plan(request.set_name)
    chosen = choose_set(plan.destination, site.trusted, request.set_name, request.backup)
    record = _record(chosen, request)
    into = request.into or record.name
    target = site.source(into).target()
    restorer = site.restorer(record.kind)
    if target.kind != record.kind:
        raise UsageError(
            f"{record.name} is a {record.kind} backup and {into} is a {target.kind} store",
            hint=f"name a {record.kind} store with --into",
        )
    place = restorer.place(target, request.options)
    _guard(request, place)
    with (
        hold(site.lock_path(f"restore-{into}"), owner=f"backup.restore into {into}"),
        work.own_scratch() as work,
    ):
        read_every_byte(plan.destination, chosen, record, work)
        not_compared = _not_compared(record, request)
        judge = None if not_compared else _Judge(restorer, record, request, place, work)
        options = replace(request.options, check=judge.check if judge else None)
        restored = _restore(restorer, plan.destination, chosen, record, target, options, work)
        try:
            if judge and not restored.checked:
                judge.look(restored.target)
        except BaseException:
            for note in restored.notes:  # which no report will hold now
                work.emit(Warned(note))
            raise
    return RestoreOutcome(
        set_id=chosen.ref.set_id,
        store=record.name,
        into=into,
        place=place,
        restored=restored,
        content=judge.result if judge else None,
        comparison=judge.comparison if judge else None,
        not_compared=not_compared,
        seconds=work.clock.monotonic() - begun,
    )


def _record(chosen: PublishedSet, request: RestoreRequest) -> StoreRecord:
    records = {record.name: record for record in chosen.manifest.stores}
    if request.store:
        try:
            return records[request.store]
        except KeyError:
            raise UsageError(
                f"the set {chosen.ref.set_id} holds no store {request.store}",
                hint="it holds: " + ", ".join(records),
            ) from None
    if len(records) != 1:
        raise UsageError(
            f"the set {chosen.ref.set_id} holds {len(records)} stores",
            hint="name one with --store: " + ", ".join(records),
        )
    return next(iter(records.values()))


def _guard(request: RestoreRequest, place: str) -> None:
    """Overwriting takes two things: the flag, and the target's name typed in."""
    if request.options.overwrite and request.confirm != place:
        raise Refused(
            f"overwriting {place} was not confirmed",
            hint=f"type the target's name: --confirm {place}",
        )


def _restore(
    restorer: Restorer,
    destination: Destination,
    chosen: PublishedSet,
    record: StoreRecord,
    target: Target,
    options: RestoreOptions,
    work: Work,
) -> Restored:
    name = f"{record.name}:restore"
    with step(work.emit, name, f"Restoring {record.name}", monotonic=work.clock.monotonic):
        source = StoredArtifactSource(destination, chosen.ref, record, work.cancel)
        return restorer.restore(source, target, options, work)


def _not_compared(record: StoreRecord, request: RestoreRequest) -> str:
    if request.options.only:
        return "only a part was restored"
    if record.backup.fingerprint is None:
        return "the backup was made without a fingerprint"
    return ""


class _Judge:
    """Compares what was restored with the fingerprint taken at the source."""

    def __init__(
        self,
        restorer: Restorer,
        record: StoreRecord,
        request: RestoreRequest,
        place: str,
        work: Work,
    ) -> None:
        self._restorer = restorer
        self._record = record
        self._overwrite = request.options.overwrite
        self._place = place
        self._work = work
        self.result: RungResult | None = None
        self.comparison: Comparison | None = None

    def check(self, target: Target) -> None:
        """Judge content that is about to be put in place.

        Raises:
            JudgedBad, Inconclusive: it would replace data, and is not what was backed up, or nobody
                can tell. Where nothing is lost by it, such content is put in place, and told.
        """
        self.look(target)
        result = self.result
        assert result is not None
        if not self._overwrite or result.verdict is Verdict.PASSED:
            return
        kind = {Verdict.FAILED: JudgedBad, Verdict.INCONCLUSIVE: Inconclusive}[result.verdict]
        raise kind(
            f"{self._place} was not replaced: {result.reason}",
            hint="what was there is as it was: use another backup, or restore this one into "
            "another place and look at what is in it",
        )

    def look(self, target: Target) -> None:
        """Judge the content of ``target``."""
        taken = self._record.backup.fingerprint
        assert taken is not None
        work = self._work
        with step(work.emit, "content", "Comparing what arrived", monotonic=work.clock.monotonic):
            try:
                found = self._restorer.fingerprint(self._record, target, work)
            except Inconclusive as unknown:
                self.result = RungResult(
                    Rung.CONTENT, Verdict.INCONCLUSIVE, unknown.message, unknown.hint
                )
                return
        self.comparison = compare(taken, found, work.clock.now())
        self.result = judge_content(self.comparison)
