"""Who gets the blame: faults are injected into restorer and sandbox, the verdict is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

import pytest

from backup_lib.model import (
    Artifact,
    Fingerprint,
    Gap,
    Item,
    Need,
    NotCovered,
    Rung,
    ServerFacts,
    StoreBackup,
    StoreRecord,
    Target,
)
from backup_lib.sandboxes.base import RunningServer, ServerDied, ServerRecipe
from backup_lib.services.rehearsal import ATTEMPTS, Rehearser
from backup_lib.stores.base import AssertionResult, Restored, RestoreOptions
from backup_lib.work import Work
from restoreproof.errors import (
    Inconclusive,
    Interrupted,
    JudgedBad,
    NoSpace,
    RestoreproofError,
    Unreachable,
)
from restoreproof.verdict import Verdict

MOMENT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
TARGET = Target("postgres", {"dbname": "copy"}, disposable=True)
RECIPE = cast("ServerRecipe", object())
FACTS = ServerFacts("PostgreSQL", "18.6")
TAKEN = Fingerprint(
    "postgres/1",
    "snapshot",
    (Item("table", "public.flights", "aa", 3), Item("table", "public.planes", "bb", 2)),
)


def record(fingerprint: Fingerprint | None = TAKEN) -> StoreRecord:
    backup = StoreBackup(
        FACTS, MOMENT, fingerprint, not_covered=(NotCovered("foreign table", "f", "not local"),)
    )
    artifact = Artifact("orders/database.dump.zst", "database", "x", 1, "00", 1)
    return StoreRecord("orders", "postgres", backup, (artifact,))


@dataclass
class Source:
    record: StoreRecord = field(default_factory=record)

    def open(self, role: str) -> AbstractContextManager[BinaryIO]:
        raise AssertionError(f"{role} is not read here")

    def stage(self, role: str, folder: Path) -> Path:
        raise AssertionError(f"{role} is not staged in {folder}")


@dataclass
class Restorer:
    """Restores nothing; each call raises the next fault of its list, then answers."""

    found: Fingerprint = TAKEN
    faults: list[RestoreproofError] = field(default_factory=list)
    lacks: tuple[Gap, ...] = ()
    answers: tuple[AssertionResult, ...] = ()
    restores: int = 0

    def recipe(self, record: StoreRecord) -> ServerRecipe:
        assert record.kind == "postgres"
        return RECIPE

    def gaps(self, record: StoreRecord, offers: ServerFacts) -> tuple[Gap, ...]:
        assert (record.kind, offers) == ("postgres", FACTS)
        return self.lacks

    def place(self, target: Target, options: RestoreOptions) -> str:
        return options.database or target.params["dbname"]

    def restore(
        self, source: object, target: Target, options: RestoreOptions, work: Work
    ) -> Restored:
        assert (source, options.globals, work.jobs > 0) != (None, False, False)
        self.restores += 1
        if self.faults:
            raise self.faults.pop(0)
        return Restored(target)

    def fingerprint(self, record: StoreRecord, target: Target, work: Work) -> Fingerprint:
        assert (record.name, target, work.jobs > 0) == ("orders", TARGET, True)
        return self.found

    def check_assertions(
        self, target: Target, assertions: Sequence[str], work: Work
    ) -> tuple[AssertionResult, ...]:
        assert (target, work.jobs > 0, len(assertions) > 0) == (TARGET, True, True)
        return self.answers


@dataclass
class Sandbox:
    kind: ClassVar[str] = "test"
    faults: list[RestoreproofError] = field(default_factory=list)
    running: int = 0

    def offers(self, recipe: ServerRecipe) -> ServerFacts:
        assert recipe is RECIPE
        return FACTS

    def isolation(self) -> Mapping[str, str]:
        return {}

    @contextmanager
    def start(self, recipe: ServerRecipe, work: Work) -> Iterator[RunningServer]:
        assert (recipe is RECIPE, work.jobs > 0) == (True, True)
        if self.faults:
            raise self.faults.pop(0)
        self.running += 1
        try:
            yield RunningServer(TARGET, FACTS)
        finally:
            self.running -= 1


def rehearse(
    restorer: Restorer,
    sandbox: Sandbox | None = None,
    *,
    source: Source | None = None,
    assertions: Sequence[str] = (),
    depth: Rung = Rung.ASSERTIONS,
) -> dict[Rung, tuple[Verdict, str]]:
    sandbox = sandbox or Sandbox()
    result = Rehearser(
        restorer, source or Source(), sandbox, tuple(assertions), depth, Work()
    ).rehearse()
    assert sandbox.running == 0
    return {rung.rung: (rung.verdict, rung.reason) for rung in result.rungs}


def test_an_equal_copy_passes_and_names_what_is_not_proven() -> None:
    rungs = rehearse(Restorer())
    assert rungs[Rung.RESTORE] == (Verdict.PASSED, "restored into PostgreSQL 18.6")
    assert rungs[Rung.CONTENT] == (
        Verdict.PASSED,
        "exact: 2 items equal, 1 not proven (listed in the result)",
    )
    assert Rung.ASSERTIONS not in rungs


def test_restore_succeeds_but_content_differs() -> None:
    altered = Fingerprint(
        "postgres/1", "snapshot", (TAKEN.items[0], Item("table", "public.planes", "cc", 2))
    )
    verdict, reason = rehearse(Restorer(found=altered))[Rung.CONTENT]
    assert verdict is Verdict.FAILED
    assert "public.planes" in reason


def test_a_backup_that_cannot_be_restored_is_bad_at_once() -> None:
    restorer = Restorer(faults=[JudgedBad("pg_restore: error: could not read from input file")])
    rungs = rehearse(restorer)
    assert rungs[Rung.RESTORE][0] is Verdict.FAILED
    assert rungs[Rung.CONTENT] == (Verdict.INCONCLUSIVE, "not reached: restore failed")
    assert restorer.restores == 1


def test_a_broken_connection_is_tried_again_and_then_passes() -> None:
    restorer = Restorer(faults=[Unreachable("the server went away")] * (ATTEMPTS - 1))
    assert rehearse(restorer)[Rung.CONTENT][0] is Verdict.PASSED
    assert restorer.restores == ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (lambda: Unreachable("the server went away"), ATTEMPTS),
        (lambda: ServerDied("the disposable server ended with status -9"), ATTEMPTS),
        (lambda: NoSpace("no room to stage"), 1),
        (lambda: Inconclusive("an unknown layout"), 1),
    ],
)
def test_bad_infrastructure_never_blames_the_backup(
    fault: Callable[[], RestoreproofError], attempts: int
) -> None:
    restorer = Restorer(faults=[fault() for _ in range(ATTEMPTS)])
    rungs = rehearse(restorer)
    assert {verdict for verdict, _ in rungs.values()} == {Verdict.INCONCLUSIVE}
    assert restorer.restores == attempts


def test_sandbox_does_not_start() -> None:
    sandbox = Sandbox(faults=[Inconclusive("the sandbox did not start", hint="see its log")])
    restorer = Restorer()
    rungs = rehearse(restorer, sandbox)
    assert rungs[Rung.RESTORE] == (Verdict.INCONCLUSIVE, "the sandbox did not start")
    assert restorer.restores == 0


def test_a_gap_is_found_before_anything_starts() -> None:
    gap = Gap(Need("extension:postgis"), "the sandbox lacks extension postgis", "install it")
    restorer = Restorer(lacks=(gap,))
    sandbox = Sandbox(faults=[Inconclusive("would have been started")])
    verdict, reason = rehearse(restorer, sandbox)[Rung.RESTORE]
    assert verdict is Verdict.INCONCLUSIVE
    assert "postgis" in reason
    assert restorer.restores == 0
    assert len(sandbox.faults) == 1


def test_a_backup_without_a_fingerprint_is_restored_but_not_proven() -> None:
    rungs = rehearse(Restorer(), source=Source(record(None)))
    assert rungs[Rung.RESTORE][0] is Verdict.PASSED
    assert rungs[Rung.CONTENT][0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        ((True, True), Verdict.PASSED),
        ((True, False), Verdict.FAILED),
        ((True, None), Verdict.INCONCLUSIVE),
        ((None, False), Verdict.FAILED),
        ((), Verdict.INCONCLUSIVE),
    ],
)
def test_assertions_are_judged_and_an_unanswered_one_is_no_pass(
    held: tuple[bool | None, ...], verdict: Verdict
) -> None:
    restorer = Restorer(answers=tuple(AssertionResult("select …", h, "…") for h in held))
    assert rehearse(restorer, assertions=["select …"])[Rung.ASSERTIONS][0] is verdict


def test_depth_ends_the_climb() -> None:
    assert set(rehearse(Restorer(), assertions=["a"], depth=Rung.RESTORE)) == {Rung.RESTORE}


def test_an_interruption_is_not_a_verdict() -> None:
    with pytest.raises(Interrupted):
        rehearse(Restorer(faults=[Interrupted("interrupted")]))
