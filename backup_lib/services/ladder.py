"""The verification ladder over one store of one backup set.

``exists → fresh → size → integrity → restore → content → assertions``. A stale or shrunken backup
is still read and restored (both facts are worth knowing), a missing or damaged one is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from backup_lib.destinations.base import Destination
from backup_lib.model import Artifact, Rung, RungResult, StoreRecord, StoreVerification
from backup_lib.services.archive import PublishedSet
from backup_lib.services.judgement import HINDRANCES, judge_freshness, judge_size, rungs_asked
from backup_lib.services.memory import Memory, proof_key
from backup_lib.services.reading import read_every_byte, stored_size
from backup_lib.services.rehearsal import Rehearsal, Rehearser, not_reached
from backup_lib.work import Work
from restoreproof.errors import JudgedBad, RestoreproofError
from restoreproof.events import Warned
from restoreproof.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the configuration demands of one store of a set.

    Attributes:
        max_age: of the content at the time of verification; None where any age will do.
        min_size: stored bytes of the store's artifacts.
        size_drop: fraction of the usual size that may be missing.
        assertions: of the application, asked in the restored copy.
        remember: how long the proof of the very same bytes is good for.
    """

    max_age: timedelta | None
    min_size: int = 1
    size_drop: float = 0.5
    assertions: tuple[str, ...] = ()
    remember: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Climb:
    """One climb of the ladder.

    Attributes:
        destination: where the set is.
        chosen: the set.
        record: the store's part of its manifest.
        history: stored bytes of this store in earlier sets, newest first.
        expectations: what is demanded.
        depth: the highest rung to climb to.
        again: restore and compare even where the same bytes were proven before.
        memory: of earlier proofs.
        rehearser: makes the rehearsal when the climb gets that far.
        work: listeners, clock, limits.
        rests_on: what else a proof holds for: with another software or sandbox it is made anew.
    """

    destination: Destination
    chosen: PublishedSet
    record: StoreRecord
    history: Sequence[int]
    expectations: Expectations
    depth: Rung
    again: bool
    memory: Memory
    rehearser: Callable[[], Rehearser]
    work: Work
    rests_on: tuple[str, ...] = ()

    def verify(self) -> StoreVerification:
        """Climb as far as ``depth``; every rung asked for has a result."""
        results: list[RungResult] = []
        below: tuple[tuple[Rung, Callable[[], RungResult]], ...] = (
            (Rung.EXISTS, self._exists),
            (Rung.FRESH, self._fresh),
            (Rung.SIZE, self._size),
            (Rung.INTEGRITY, self._integrity),
        )
        stopped: RungResult | None = None
        for rung, judge in below:
            if rung.height > self.depth.height:
                break
            if stopped:
                results.append(not_reached(rung, stopped))
                continue
            result = self._timed(rung, judge)
            results.append(result)
            if rung in (Rung.EXISTS, Rung.INTEGRITY) and result.verdict is not Verdict.PASSED:
                stopped = result
        comparison = None
        if self.depth.height >= Rung.RESTORE.height:
            if not stopped:
                try:
                    rehearsal = self._rehearse()
                except HINDRANCES as hindered:  # hides nothing of what is judged already
                    stopped = _hindered(Rung.RESTORE, hindered)
                    results.append(stopped)
                else:
                    results += rehearsal.rungs
                    comparison = rehearsal.comparison
            if stopped:
                asked = rungs_asked(self.depth, assertions=bool(self.expectations.assertions))
                above = max(stopped.rung.height, Rung.INTEGRITY.height)
                results += [not_reached(rung, stopped) for rung in asked if rung.height > above]
        return StoreVerification(self.record.name, self.record.kind, tuple(results), comparison)

    def _timed(self, rung: Rung, judge: Callable[[], RungResult]) -> RungResult:
        begun = self.work.clock.monotonic()
        try:
            result = judge()
        except HINDRANCES as hindered:
            result = _hindered(rung, hindered)
        return replace(result, seconds=self.work.clock.monotonic() - begun)

    def _exists(self) -> RungResult:
        if not self.record.artifacts:
            return RungResult(
                Rung.EXISTS,
                Verdict.FAILED,
                "the manifest lists no artifact for this store",
                "make a new backup: inv backup.run",
            )
        missing = []
        for artifact in self.record.artifacts:
            try:
                self.destination.size(self.chosen.ref, artifact.name)
            except FileNotFoundError:
                missing.append(artifact.name)
        if missing:
            return RungResult(
                Rung.EXISTS,
                Verdict.FAILED,
                f"missing from the set {self.chosen.ref.set_id}: {', '.join(missing)}",
                "somebody removed it: restore it from a copy, or make a new backup",
            )
        return RungResult(
            Rung.EXISTS,
            Verdict.PASSED,
            f"{self.chosen.ref.set_id}, sequence {self.chosen.manifest.sequence}",
        )

    def _fresh(self) -> RungResult:
        # the moment is by the clock of the store's server; whatever that says, nothing in the set
        # is newer than the set
        moment = min(self.record.backup.moment, self.chosen.manifest.finished)
        return judge_freshness(moment, self.work.clock.now(), self.expectations.max_age)

    def _size(self) -> RungResult:
        for artifact in self.record.artifacts:
            try:
                stored = self._stored(artifact)
            except JudgedBad as gone:
                return RungResult(Rung.SIZE, Verdict.FAILED, gone.message, gone.hint)
            if stored != artifact.size:
                return RungResult(
                    Rung.SIZE,
                    Verdict.FAILED,
                    f"{artifact.name} has {stored} bytes, the manifest says {artifact.size}",
                    "it was cut or overwritten after the backup: use another set",
                )
        return judge_size(
            stored_size(self.record),
            self.history,
            min_size=self.expectations.min_size,
            max_drop=self.expectations.size_drop,
        )

    def _stored(self, artifact: Artifact) -> int:
        """Stored bytes of an artifact that was there when the climb began."""
        try:
            return self.destination.size(self.chosen.ref, artifact.name)
        except FileNotFoundError:
            self.destination.manifest(self.chosen.ref)  # Unreachable where the set was pruned
            raise JudgedBad(
                f"{artifact.name} was there a moment ago and is missing now",
                hint="find out what removes it, and restore it from a copy",
            ) from None

    def _integrity(self) -> RungResult:
        try:
            read_every_byte(self.destination, self.chosen, self.record, self.work)
        except JudgedBad as bad:
            return RungResult(Rung.INTEGRITY, Verdict.FAILED, bad.message, bad.hint)
        return RungResult(
            Rung.INTEGRITY,
            Verdict.PASSED,
            f"{len(self.record.artifacts)} artifacts, {stored_size(self.record)} bytes read; "
            "digests and signature hold",
        )

    def _rehearse(self) -> Rehearsal:
        rehearser = self.rehearser()
        asked = rehearser.rungs()
        key = self._proof_key(asked)
        now = self.work.clock.now()
        known = None if self.again else self.memory.proven(key, now, self.expectations.remember)
        if known:
            return Rehearsal(known.rungs, known.comparison)
        rehearsal = rehearser.rehearse()
        if all(rung.verdict is Verdict.PASSED for rung in rehearsal.rungs):
            try:
                self.memory.prove(key, now, rehearsal.rungs, rehearsal.comparison)
            except RestoreproofError as error:
                self.work.emit(Warned(f"the proof is not remembered: {error.message}", error.hint))
        return rehearsal

    def _proof_key(self, asked: tuple[Rung, ...]) -> str:
        fingerprint = self.record.backup.fingerprint
        return proof_key(
            self.record.kind,
            fingerprint.method if fingerprint else "",
            self.chosen.digest,
            self.record.name,
            *(artifact.sha256 for artifact in self.record.artifacts),
            "",
            *asked,
            "",
            *self.rests_on,
            "",
            *self.expectations.assertions,
        )


def _hindered(rung: Rung, error: RestoreproofError) -> RungResult:
    return RungResult(rung, Verdict.INCONCLUSIVE, error.message, error.hint)
