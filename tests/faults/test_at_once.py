"""Several at once: runs of the same set, of different sets, verifications, sweeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from backup_lib.model import Rung
from backup_lib.services.run import run_backup
from backup_lib.services.verify import verify_set
from restoreproof.clock import MovableClock, SystemClock
from restoreproof.errors import LockHeld
from restoreproof.events import StepStarted
from restoreproof.exit_codes import ExitCode
from restoreproof.verdict import Verdict
from tests.harness.aftermath import Aftermath
from tests.harness.fake_tools import WAITS_FOR_THE_GATE, fake_tool
from tests.harness.fault_site import FaultSite, eventually, finish, of_kinds
from tests.harness.fault_stores import WITH_DUMP_PROGRAM
from tests.harness.leaks import no_leftovers
from tests.harness.postgres import bundled_programs

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


class Waiting:
    """A run, of this process, that waits in the middle of its set until it is let go."""

    def __init__(self, site: FaultSite, set_name: str) -> None:
        self._site = site
        self._set_name = set_name
        self._gate = threading.Event()
        self._inside = threading.Event()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def _emit(self, event: object) -> None:
        if isinstance(event, StepStarted) and event.step == "orders:backup":
            self._inside.set()
            assert self._gate.wait(60)

    def _run(self) -> None:
        try:
            run_backup(self._site.site(), self._set_name, self._site.work(emit=self._emit))
        except Exception as error:  # noqa: BLE001 - the test's thread looks at it
            self.error = error
            self._inside.set()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._thread.start()
        try:
            assert self._inside.wait(60)
            yield
        finally:
            self._gate.set()
            self._thread.join(60)
        assert self.error is None


def test_of_two_runs_of_a_set_the_second_is_refused(fault_site: FaultSite) -> None:
    fault_site.back_up()
    before = Aftermath(fault_site)
    with no_leftovers():
        with Waiting(fault_site, "nightly").at_work():
            done = fault_site.run("backup.run", "--set", "nightly", "--json")
            assert done.code == ExitCode.REFUSED, done
            assert "held by backup.run nightly" in done.err
            with pytest.raises(LockHeld):
                fault_site.back_up()
        assert len(before.newly_published()) == 1
        before.recover()


def test_runs_of_two_sets_into_one_destination_do_not_disturb_each_other(
    fault_site: FaultSite,
) -> None:
    fault_site.back_up()
    before = Aftermath(fault_site)
    with no_leftovers():
        with Waiting(fault_site, "nightly").at_work():
            done = fault_site.run("backup.run", "--set", "weekly", "--json")
            assert done.code == ExitCode.OK, done
        assert len(before.newly_published()) == 2
        before.check()
        for name in ("nightly", "weekly"):
            assert verify_set(fault_site.site(), name, fault_site.work()).verdict is Verdict.PASSED
        before.recover()


@of_kinds("postgres")
def test_many_runs_at_once_through_the_command_line(fault_site: FaultSite) -> None:
    fault_site.back_up()
    before = Aftermath(fault_site)
    with no_leftovers():
        names = ("nightly", "weekly", "nightly", "weekly")
        started = [fault_site.start("backup.run", "--set", name) for name in names]
        codes = [finish(one).code for one in started]
    assert set(codes) <= {ExitCode.OK, ExitCode.REFUSED}
    assert len(before.newly_published()) == codes.count(ExitCode.OK) >= 2
    before.recover()


def test_a_verification_during_a_run_judges_the_set_before(fault_site: FaultSite) -> None:
    first = fault_site.back_up()
    before = Aftermath(fault_site)
    with no_leftovers():
        with Waiting(fault_site, "nightly").at_work():
            result = verify_set(fault_site.site(), "nightly", fault_site.work())
            assert (result.set_id, result.verdict) == (first.ref.set_id, Verdict.PASSED)
        before.recover()


@of_kinds("postgres")
def test_a_sweep_leaves_a_living_run_alone_whatever_the_clock_says(fault_site: FaultSite) -> None:
    fault_site.back_up()
    before = Aftermath(fault_site)
    with Waiting(fault_site, "nightly").at_work():
        for jump in (timedelta(), timedelta(hours=9), timedelta(hours=-9), timedelta(days=400)):
            clock = MovableClock(SystemClock().now() + jump)
            destination = fault_site.site(clock).destination("disk")
            assert destination.sweep() == ()
            with pytest.raises(LockHeld):
                run_backup(fault_site.site(clock), "nightly", fault_site.work(clock=clock))
    assert len(before.newly_published()) == 1
    before.recover()


@of_kinds("postgres")
@pytest.mark.parametrize("hours", [-48, -3, 3, 20])
def test_a_clock_that_jumps_during_a_run_and_before_its_verification(
    fault_site: FaultSite, hours: int
) -> None:
    clock = MovableClock(SystemClock().now())
    site = fault_site.site(clock)
    run_backup(site, "nightly", fault_site.work(clock=clock))

    def jump(event: object) -> None:
        if isinstance(event, StepStarted) and event.step == "orders:backup":
            clock.jump(timedelta(hours=hours))

    run = run_backup(site, "nightly", fault_site.work(clock=clock, emit=jump))
    result = verify_set(site, "nightly", fault_site.work(clock=clock))
    assert result.set_id == run.ref.set_id, "sequence numbers count, not clocks"
    rungs = {rung.rung: rung.verdict for rung in result.stores[0].rungs}
    assert rungs[Rung.CONTENT] is Verdict.PASSED
    assert rungs[Rung.FRESH] is not Verdict.FAILED
    clock.jump(timedelta(hours=-hours))
    again = verify_set(site, "nightly", fault_site.work(clock=clock), depth=Rung.INTEGRITY)
    rungs = {rung.rung: rung.verdict for rung in again.stores[0].rungs}
    # nothing in a set is newer than the set: one that is dated two days ago is two days old
    stale = hours <= -24
    assert (rungs.pop(Rung.FRESH) is Verdict.FAILED) is stale
    assert set(rungs.values()) == {Verdict.PASSED}
    newest = run_backup(site, "nightly", fault_site.work(clock=clock))
    assert newest.manifest.sequence == run.manifest.sequence + 1


@of_kinds(*WITH_DUMP_PROGRAM)
def test_a_run_whose_lock_was_taken_away_publishes_nothing(
    fault_site: FaultSite, short_folder: Path
) -> None:
    fault_site.back_up()
    tools = fake_tool(short_folder / "tools", bundled_programs(), "pg_dump", WAITS_FOR_THE_GATE)
    fault_site.configure(store_options=f'programs = "{tools}"')
    before = Aftermath(fault_site)
    with no_leftovers(patience=10):
        running = fault_site.start("backup.run", "--set", "nightly")
        assert eventually((tools / "waiting").exists)
        (lock,) = (fault_site.backups / "nightly").glob("*/.lock")
        lock.unlink()
        (tools / "gate").touch()
        done = finish(running)
    assert done.code == ExitCode.REFUSED, done
    assert "lost" in done.err
    assert not before.newly_published()
    fault_site.configure(store_options="")
    before.recover()


def test_a_killed_run_blocks_nobody(fault_site: FaultSite) -> None:
    fault_site.back_up()
    fault_site.rig.grow(8 << 20)
    before = Aftermath(fault_site)
    with no_leftovers(patience=10):
        running = fault_site.start("backup.run", "--set", "nightly")
        locks = fault_site.state / "locks"
        assert eventually(lambda: any((fault_site.backups / "nightly").glob("*/.lock")))
        running.kill()
        assert finish(running).code == -9
        assert any(locks.iterdir())
        before.recover()
