"""What every kind of store has to keep, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_lib.kinds import STORES
from backup_lib.model import Comparison, ServerFacts, Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.services.rehearsal import judge_content
from backup_lib.stores.base import RestoreOptions, Restorer
from backup_lib.work import Work
from restoreproof.errors import Interrupted, JudgedBad, Refused, Unreachable
from restoreproof.verdict import Verdict
from tests.harness import comparing
from tests.harness.leaks import no_leftovers
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.sandboxes import RECIPES
from tests.harness.stores import ENTRIES, RIGS, StoreRig


@dataclass(frozen=True)
class Stage:
    """A filled server of one kind."""

    rig: StoreRig
    place: Target
    work: Work

    @property
    def restorer(self) -> Restorer:
        return STORES.load(self.rig.kind).restorer()

    def back_up(self, *, fingerprint: bool = True) -> MemorySource:
        kept = MemorySet()
        backup = self.rig.source(self.place).backup(kept.sink(), self.work, fingerprint=fingerprint)
        return kept.finish(backup, kind=self.rig.kind)

    @contextmanager
    def restored(self, backed_up: MemorySource) -> Iterator[Target]:
        recipe = self.restorer.recipe(backed_up.record)
        with ProcessSandbox().start(recipe, self.work) as server:
            options = RestoreOptions(globals=True)
            yield self.restorer.restore(backed_up, server.target, options, self.work).target

    def compared(self, backed_up: MemorySource, copy: Target) -> Comparison:
        return comparing.compared(self.restorer, backed_up.record, copy, self.work)


@pytest.fixture(scope="module", params=STORES.names())
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    work = Work(scratch=tmp_path_factory.mktemp("scratch"), stall_timeout=60, jobs=2)
    rig = RIGS[request.param]()
    with ProcessSandbox().start(RECIPES[rig.kind](), work) as server:
        yield Stage(rig, rig.ready(server.target), work)


@pytest.fixture(scope="module")
def backed_up(stage: Stage) -> MemorySource:
    return stage.back_up()


def test_every_kind_of_store_has_a_rig() -> None:
    assert set(STORES.names()) == set(RIGS)


def test_what_was_probed_is_what_was_backed_up(stage: Stage, backed_up: MemorySource) -> None:
    backup = backed_up.record.backup
    probed = stage.rig.source(stage.place).probe()
    assert (probed.product, probed.version) == (backup.server.product, backup.server.version)
    assert backup.needs
    assert backup.not_covered
    assert abs((datetime.now(UTC) - backup.moment).total_seconds()) < 600


def test_the_copy_is_proven_equal(stage: Stage, backed_up: MemorySource) -> None:
    with stage.restored(backed_up) as copy:
        assert stage.rig.count(copy) == ENTRIES
        comparison = stage.compared(backed_up, copy)
    assert comparison.level == STORES.load(stage.rig.kind).capabilities.proof
    assert judge_content(comparison).verdict is Verdict.PASSED


def test_one_altered_entry_is_found(stage: Stage, backed_up: MemorySource) -> None:
    with stage.restored(backed_up) as copy:
        stage.rig.alter(copy)
        comparison = stage.compared(backed_up, copy)
    assert len(comparison.differences) == 1
    assert judge_content(comparison).verdict is Verdict.FAILED


def test_damage_is_judged_bad(stage: Stage, backed_up: MemorySource) -> None:
    role = max(backed_up.record.artifacts, key=lambda artifact: artifact.size).role
    whole = backed_up.data(role)
    backed_up.damage(role, whole[: len(whole) // 2])
    try:
        with pytest.raises(JudgedBad) as caught, stage.restored(backed_up):
            pytest.fail("half a backup was restored")
    finally:
        backed_up.damage(role, whole)
    assert caught.value.hint


def test_without_a_fingerprint_nothing_is_claimed(stage: Stage) -> None:
    assert stage.back_up(fingerprint=False).record.backup.fingerprint is None


def test_data_is_never_overwritten_unasked(stage: Stage, backed_up: MemorySource) -> None:
    with pytest.raises(Refused) as caught:
        stage.restorer.restore(backed_up, stage.rig.live(stage.place), RestoreOptions(), stage.work)
    assert caught.value.hint
    assert stage.rig.count(stage.place) == ENTRIES


def test_an_older_server_is_a_gap_with_a_hint(stage: Stage, backed_up: MemorySource) -> None:
    product = backed_up.record.backup.server.product
    (gap, *_) = stage.restorer.gaps(backed_up.record, ServerFacts(product, "1.0"))
    assert gap.message
    assert gap.hint


def test_a_destination_that_breaks_off_keeps_nothing_and_the_next_run_succeeds(
    stage: Stage,
) -> None:
    kept = MemorySet(limit=100)
    with no_leftovers(), pytest.raises((OSError, Unreachable)):
        stage.rig.source(stage.place).backup(kept.sink(), stage.work)
    assert kept.kept == {}
    assert stage.back_up().record.artifacts


def test_a_cancelled_backup_keeps_nothing(stage: Stage) -> None:
    work = Work(scratch=stage.work.scratch)
    work.cancel.request()
    kept = MemorySet()
    with no_leftovers(), pytest.raises(Interrupted):
        stage.rig.source(stage.place).backup(kept.sink(), work)
    assert kept.kept == {}


def test_a_stranger_is_told_in_one_sentence(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANGER", "planted-Zk3-secret")
    with pytest.raises(Unreachable) as caught:
        stage.rig.source(stage.place, **stage.rig.stranger).probe()
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert "planted" not in str(caught.value)


def test_a_server_that_is_gone_is_unreachable(stage: Stage, tmp_path: Path) -> None:
    with ProcessSandbox().start(RECIPES[stage.rig.kind](), stage.work) as server:
        source = stage.rig.source(server.target)
    with pytest.raises(Unreachable):
        source.backup(MemorySet().sink(), Work(scratch=tmp_path))
