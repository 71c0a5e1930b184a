"""The upper rungs: a real restore in a disposable server, the content compared, assertions asked.

The one rule: a verdict about the backup needs evidence about the backup. Whatever goes wrong with
the sandbox, the disk or the connection is retried and then inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from backup_lib.comparison import compare
from backup_lib.model import (
    Comparison,
    ProofLevel,
    Rung,
    RungResult,
    StoreRecord,
    Target,
)
from backup_lib.sandboxes.base import RunningServer, Sandbox, ServerDied, ServerRecipe
from backup_lib.services.judgement import rungs_asked
from backup_lib.stores.base import ArtifactSource, Restored, RestoreOptions, Restorer
from backup_lib.work import Work
from restoreproof.errors import (
    Inconclusive,
    Interrupted,
    JudgedBad,
    NoSpace,
    Refused,
    RestoreproofError,
    Unreachable,
    UsageError,
)
from restoreproof.events import Warned, step
from restoreproof.verdict import Verdict

ATTEMPTS = 3
"""How often a rehearsal that broke for reasons of its own is tried."""

NAMED = 5
"""How many differences a reason names; the result document has them all."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The results of ``restore``, ``content`` and ``assertions``, as far as they were asked for."""

    rungs: tuple[RungResult, ...]
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Rehearser:
    """Rehearses the restore of one store of a set.

    Attributes:
        restorer: of the store's kind.
        source: the artifacts, checked while they are read.
        sandbox: where the disposable server runs.
        assertions: of the application, in the store's language.
        depth: the highest rung that is asked for.
        work: listeners, clock and limits.
    """

    restorer: Restorer
    source: ArtifactSource
    sandbox: Sandbox
    assertions: Sequence[str]
    depth: Rung
    work: Work

    @property
    def _record(self) -> StoreRecord:
        return self.source.record

    def rungs(self) -> tuple[Rung, ...]:
        """The rungs this rehearsal will give a result for."""
        asked = rungs_asked(self.depth, assertions=bool(self.assertions))
        return tuple(rung for rung in asked if rung.height >= Rung.RESTORE.height)

    def rehearse(self) -> Rehearsal:
        """Restore, compare, assert; never raises for a bad backup or for bad infrastructure."""
        recipe = self.restorer.recipe(self._record)
        try:
            refusal = self._pre_check(recipe)
            if refusal:
                return self._without(refusal)
        except (Inconclusive, UsageError) as unknown:
            return self._without(_result(Rung.RESTORE, unknown))
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(recipe)
            except Interrupted:
                raise
            except (Unreachable, ServerDied) as broken:
                if attempt == ATTEMPTS:
                    return self._without(_result(Rung.RESTORE, broken))
                self.work.emit(
                    Warned(
                        f"the rehearsal broke off: {broken.message}",
                        f"trying again, {attempt + 1} of {ATTEMPTS}",
                    )
                )
            except (Inconclusive, NoSpace, Refused, UsageError) as hindered:
                # UsageError: a tool or a library is missing on this machine
                return self._without(_result(Rung.RESTORE, hindered))
        raise AssertionError("unreachable: the last attempt returns")

    def _pre_check(self, recipe: ServerRecipe) -> RungResult | None:
        """What the backup needs and the sandbox lacks, before anything is started."""
        gaps = self.restorer.gaps(self._record, self.sandbox.offers(recipe))
        if not gaps:
            return None
        return RungResult(
            Rung.RESTORE,
            Verdict.INCONCLUSIVE,
            "this sandbox cannot restore it: " + "; ".join(gap.message for gap in gaps),
            "; ".join(dict.fromkeys(gap.hint for gap in gaps if gap.hint)),
        )

    def _attempt(self, recipe: ServerRecipe) -> Rehearsal:
        results: list[RungResult] = []
        comparison = None
        try:
            with self.work.own_scratch() as work, self.sandbox.start(recipe, work) as server:
                begun = work.clock.monotonic()
                restored = self._restore(server, work)
                reason = f"restored into {server.facts.product} {server.facts.version}"
                if restored.tolerated:
                    reason += f"; {len(restored.tolerated)} errors on the published allow-list"
                if restored.left_out:
                    reason += f"; {restored.left_out}"
                results.append(self._timed(RungResult(Rung.RESTORE, Verdict.PASSED, reason), begun))
                if Rung.CONTENT in self.rungs():
                    begun = work.clock.monotonic()
                    content, comparison = self._content(restored.target)
                    results.append(self._timed(content, begun))
                if Rung.ASSERTIONS in self.rungs():
                    begun = work.clock.monotonic()
                    results.append(self._timed(self._assertions(restored.target), begun))
        except JudgedBad as bad:
            # not before the sandbox had its say: an error of a server that died is no evidence
            stopped = self._without(_result(self.rungs()[len(results)], bad))
            return Rehearsal((*results, *stopped.rungs), comparison)
        return Rehearsal(tuple(results), comparison)

    def _restore(self, server: RunningServer, work: Work) -> Restored:
        with step(
            work.emit,
            f"{self._record.name}:restore",
            f"Restoring {self._record.name} into {server.facts.product} {server.facts.version}",
            monotonic=work.clock.monotonic,
        ):
            return self.restorer.restore(
                self.source, server.target, RestoreOptions(globals=True), work
            )

    def _content(self, target: Target) -> tuple[RungResult, Comparison | None]:
        taken = self._record.backup.fingerprint
        if taken is None:
            return RungResult(
                Rung.CONTENT,
                Verdict.INCONCLUSIVE,
                "the backup was made without a fingerprint, so there is nothing to compare with",
                "set fingerprint = true for this store; the next backup can be proven",
            ), None
        with step(
            self.work.emit,
            f"{self._record.name}:content",
            f"Comparing the content of {self._record.name}",
            monotonic=self.work.clock.monotonic,
        ):
            found = self.restorer.fingerprint(self._record, target, self.work)
        comparison = compare(taken, found, self.work.clock.now())
        left_out = tuple(dict.fromkeys(comparison.unproven + self._record.backup.not_covered))
        comparison = replace(comparison, unproven=left_out)
        return judge_content(comparison), comparison

    def _assertions(self, target: Target) -> RungResult:
        answers = self.restorer.check_assertions(target, self.assertions, self.work)
        wrong = [a for a in answers if a.held is False]
        unknown = [a for a in answers if a.held is None]
        if wrong:
            return RungResult(
                Rung.ASSERTIONS,
                Verdict.FAILED,
                f"{len(wrong)} of {len(answers)} do not hold: {wrong[0].text}",
                f"the restored copy answered: {wrong[0].answer}",
            )
        if unknown or not answers:
            text = unknown[0] if unknown else None
            return RungResult(
                Rung.ASSERTIONS,
                Verdict.INCONCLUSIVE,
                f"could not be evaluated: {text.text}" if text else "no assertion was evaluated",
                text.answer if text else "see the assertions of this store in restoreproof.toml",
            )
        return RungResult(Rung.ASSERTIONS, Verdict.PASSED, f"{len(answers)} hold")

    def _without(self, stopped: RungResult) -> Rehearsal:
        """``stopped`` and, for the rungs above it, that they were not reached."""
        above = (rung for rung in self.rungs() if rung.height > stopped.rung.height)
        return Rehearsal((stopped, *(not_reached(rung, stopped) for rung in above)))

    def _timed(self, result: RungResult, begun: float) -> RungResult:
        return replace(result, seconds=self.work.clock.monotonic() - begun)


def judge_content(comparison: Comparison, min_proven: float = 0.99) -> RungResult:
    """The ``content`` rung's verdict over a comparison.

    Args:
        comparison: of the source's fingerprint with that of the restored copy.
        min_proven: for ``bracketed`` proofs, the share of items that must be proven, 0 to 1.
    """
    if comparison.differences:
        named = "; ".join(f"{d.kind} {d.name}: {d.what}" for d in comparison.differences[:NAMED])
        more = len(comparison.differences) - NAMED
        # what is known to be unproven about the very thing that differs may well be the cause
        differ = {d.name for d in comparison.differences[:NAMED]}
        known = "".join(
            f"; {gap.kind} of {gap.name}: {gap.reason}"
            for gap in comparison.unproven
            if gap.name in differ
        )
        return RungResult(
            Rung.CONTENT,
            Verdict.FAILED,
            f"the restored copy is not what was backed up: {named}"
            + (f"; and {more} more" if more > 0 else "")
            + known,
            "do not rely on this backup: keep an older one, make a new one, and find out what "
            "altered it",
        )
    proven = f"{comparison.equal} items equal"
    if comparison.unproven:
        proven += f", {len(comparison.unproven)} not proven (listed in the result)"
    if comparison.level is ProofLevel.EXACT:
        return RungResult(Rung.CONTENT, Verdict.PASSED, f"exact: {proven}")
    if comparison.level is ProofLevel.BRACKETED:
        share = f"{comparison.proven_share:.2%} proven, {min_proven:.0%} wanted"
        if comparison.proven_share >= min_proven:
            return RungResult(Rung.CONTENT, Verdict.PASSED, f"bracketed: {proven}, {share}")
        return RungResult(
            Rung.CONTENT,
            Verdict.INCONCLUSIVE,
            f"too much was in motion: {share}",
            "run the backup when there is less write load",
        )
    return RungResult(
        Rung.CONTENT,
        Verdict.INCONCLUSIVE,
        f"content is proven to the level '{comparison.level}' only: {proven}",
        "; ".join(dict.fromkeys(u.reason for u in comparison.unproven[:NAMED])),
    )


def not_reached(rung: Rung, stopped: RungResult) -> RungResult:
    """The result of a rung above one that stopped the climb."""
    return RungResult(
        rung,
        Verdict.INCONCLUSIVE,
        f"not reached: {stopped.rung} {stopped.verdict}",
        stopped.hint,
        reached=False,
    )


def _result(rung: Rung, error: RestoreproofError) -> RungResult:
    verdict = Verdict.FAILED if isinstance(error, JudgedBad) else Verdict.INCONCLUSIVE
    return RungResult(rung, verdict, error.message, error.hint)
