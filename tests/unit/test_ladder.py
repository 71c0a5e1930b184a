"""What the ladder says of a set that changes under its feet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar

import pytest

from backup_lib.destinations.base import Destination, SetRef, SetWriter
from backup_lib.model import Rung
from backup_lib.services.archive import PublishedSet
from backup_lib.services.ladder import Climb, Expectations
from backup_lib.services.memory import Memory
from backup_lib.services.rehearsal import Rehearser
from backup_lib.work import Work
from restoreproof.clock import MovableClock
from restoreproof.errors import (
    Inconclusive,
    NoSpace,
    Refused,
    RestoreproofError,
    Unreachable,
    UsageError,
)
from restoreproof.signing import SigningKey
from restoreproof.verdict import Verdict
from tests.harness.destinations import RIGS, DestinationRig
from tests.harness.sets import NOON, StoredSet, store_set


@dataclass
class Interfered:
    """A real destination; ``interfere`` is called once, after the first size was asked for."""

    real: Destination
    interfere: Callable[[], None]
    done: bool = False
    kind: ClassVar[str] = "local"

    def probe(self) -> str:
        return self.real.probe()

    def write_set(self, ref: SetRef) -> AbstractContextManager[SetWriter]:
        return self.real.write_set(ref)

    def sets(self, set_name: str | None = None) -> Iterator[SetRef]:
        return self.real.sets(set_name)

    def manifest(self, ref: SetRef) -> bytes:
        return self.real.manifest(ref)

    def open(self, ref: SetRef, name: str) -> AbstractContextManager[BinaryIO]:
        return self.real.open(ref, name)

    def size(self, ref: SetRef, name: str) -> int:
        size = self.real.size(ref, name)
        if not self.done:
            self.done = True
            self.interfere()
        return size

    def delete(self, ref: SetRef) -> None:
        self.real.delete(ref)

    def sweep(self) -> tuple[str, ...]:
        return self.real.sweep()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[DestinationRig]:
    with RIGS["local"](tmp_path) as made:
        yield made


@pytest.fixture
def stored(rig: DestinationRig) -> StoredSet:
    return store_set(rig.connect(), SigningKey.generate(), {"database": b"x" * 100})


def no_rehearsal() -> Rehearser:
    raise AssertionError("the climb does not get that far")


def climb(
    stored: StoredSet,
    interfere: Callable[[], None],
    folder: Path,
    *,
    depth: Rung = Rung.INTEGRITY,
    rehearser: Callable[[], Rehearser] = no_rehearsal,
    now: datetime = NOON,
) -> dict[Rung, tuple[Verdict, str]]:
    chosen = PublishedSet(
        stored.ref, stored.signed.manifest, stored.signed.digest, stored.signed.key_id
    )
    result = Climb(
        destination=Interfered(stored.destination, interfere),
        chosen=chosen,
        record=stored.record,
        history=(),
        expectations=Expectations(max_age=timedelta(days=1)),
        depth=depth,
        again=False,
        memory=Memory(folder / "verified.json"),
        rehearser=rehearser,
        work=Work(clock=MovableClock(now)),
    ).verify()
    return {rung.rung: (rung.verdict, rung.reason) for rung in result.rungs}


def test_a_set_that_nobody_touches_passes(stored: StoredSet, tmp_path: Path) -> None:
    verdicts = {verdict for verdict, _ in climb(stored, lambda: None, tmp_path).values()}
    assert verdicts == {Verdict.PASSED}


def test_an_artifact_that_vanishes_between_two_rungs_is_a_verdict(
    stored: StoredSet, rig: DestinationRig, tmp_path: Path
) -> None:
    name = stored.record.artifacts[0].name
    rungs = climb(stored, lambda: rig.put(stored.ref, name, None), tmp_path)
    assert rungs[Rung.EXISTS][0] is Verdict.PASSED
    assert rungs[Rung.SIZE][0] is Verdict.FAILED
    assert name in rungs[Rung.SIZE][1]
    assert rungs[Rung.INTEGRITY][0] is Verdict.FAILED


def test_a_whole_set_that_is_pruned_meanwhile_is_not_blamed(
    stored: StoredSet, tmp_path: Path
) -> None:
    rungs = climb(stored, lambda: stored.destination.delete(stored.ref), tmp_path)
    assert rungs[Rung.SIZE][0] is Verdict.INCONCLUSIVE
    assert rungs[Rung.INTEGRITY][0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("fault", [Unreachable, Inconclusive, NoSpace, Refused, UsageError])
def test_a_sandbox_that_cannot_be_made_hides_nothing_of_what_is_judged(
    fault: type[RestoreproofError], stored: StoredSet, tmp_path: Path
) -> None:
    def broken() -> Rehearser:
        raise fault("no such sandbox", hint="mend it")

    rungs = climb(
        stored,
        lambda: None,
        tmp_path,
        depth=Rung.ASSERTIONS,
        rehearser=broken,
        now=NOON + timedelta(days=3),
    )
    assert {rung: verdict for rung, (verdict, _) in rungs.items()} == {
        Rung.EXISTS: Verdict.PASSED,
        Rung.FRESH: Verdict.FAILED,
        Rung.SIZE: Verdict.PASSED,
        Rung.INTEGRITY: Verdict.PASSED,
        Rung.RESTORE: Verdict.INCONCLUSIVE,
        Rung.CONTENT: Verdict.INCONCLUSIVE,
    }
    assert rungs[Rung.RESTORE][1] == "no such sandbox"
    assert rungs[Rung.CONTENT][1] == "not reached: restore inconclusive"
