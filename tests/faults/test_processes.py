"""Programs and servers that die or stand still in the middle of their work."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_lib.model import Rung, SetVerification
from backup_lib.services.restore import RestoreRequest, restore_set
from backup_lib.services.verify import verify_set
from backup_lib.stores.base import RestoreOptions
from restoreproof.errors import Unreachable
from restoreproof.events import Event, StepProgress, StepStarted
from restoreproof.exit_codes import ExitCode
from restoreproof.process import ChildStalled, procfs
from restoreproof.process.group import Group
from restoreproof.verdict import Verdict
from tests.harness.aftermath import Aftermath, aftermath
from tests.harness.fault_site import FaultSite, descendant, eventually, make_fault_site, of_kinds
from tests.harness.fault_stores import WITH_DUMP_PROGRAM, postgres_rig
from tests.harness.forked import run_forked
from tests.harness.leaks import no_leftovers
from tests.harness.postgres import MakeServer
from tests.harness.sandboxes import processes_in

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

BIG = 8 << 20
"""Bytes: more than all pipes and queues hold, so that whoever writes them is still at it."""


class Once:
    """Listener that injures once, at the first progress of a step that moves data."""

    def __init__(self, injure: Callable[[], object], *, step: str = "", times: int = 1) -> None:
        self._injure = injure
        self._step = step
        self._times = times
        self._lock = threading.Lock()
        self.done = 0

    def __call__(self, event: Event) -> None:
        with self._lock:
            if self.done >= self._times or not isinstance(event, StepProgress) or not event.done:
                return
            if self._step and event.step != self._step:
                return
            if self._injure() is not False:
                self.done += 1


def send(site: FaultSite, number: int, program: str = "") -> Callable[[], bool]:
    """Sends a signal to the program that is just dumping; to each process once."""
    hit: set[int] = set()

    def injure() -> bool:
        pid = descendant(os.getpid(), program or site.rig.dumper)
        if pid is None or pid in hit:
            return False
        hit.add(pid)
        os.kill(pid, number)
        return True

    return injure


def kill_box_servers(site: FaultSite) -> Callable[[], bool]:
    """Kills every process of the disposable server."""

    def injure() -> bool:
        found = processes_in(site.folder / "boxes")
        for pid in found:
            stat = procfs.stat_of(pid)
            if stat is not None:
                procfs.kill({stat.identity})
        return bool(found)

    return injure


@pytest.fixture
def big_site(fault_site: FaultSite) -> FaultSite:
    fault_site.rig.grow(BIG)
    fault_site.back_up()
    return fault_site


@of_kinds(*WITH_DUMP_PROGRAM)
def test_the_dumping_program_is_killed(big_site: FaultSite) -> None:
    with aftermath(big_site):
        killing = Once(send(big_site, signal.SIGKILL))
        with pytest.raises(Unreachable, match="SIGKILL") as caught:
            big_site.back_up(emit=killing)
        assert killing.done
        assert caught.value.exit_code is ExitCode.UNREACHABLE


@of_kinds(*WITH_DUMP_PROGRAM)
def test_the_dumping_program_is_stopped_and_is_told_stuck_and_ended(
    big_site: FaultSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Group, "grace", 0.5)
    with aftermath(big_site):
        stopping = Once(send(big_site, signal.SIGSTOP))
        with pytest.raises(ChildStalled, match="no progress for 1 s and was ended") as caught:
            big_site.back_up(emit=stopping, stall_timeout=1.0)
        assert stopping.done
        assert caught.value.exit_code is ExitCode.UNREACHABLE
        assert descendant(os.getpid(), big_site.rig.dumper) is None


@of_kinds(*WITH_DUMP_PROGRAM)
def test_the_restoring_program_is_stopped(
    big_site: FaultSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Group, "grace", 0.5)
    with no_leftovers(patience=10):
        before = Aftermath(big_site)
        restorer = send(big_site, signal.SIGSTOP, big_site.rig.restorer)
        stopping = Once(restorer, step="restore", times=3)
        result = verify(big_site, emit=stopping, stall_timeout=2.0)
        assert stopping.done == 3
        assert verdict_of(result, Rung.RESTORE) is Verdict.INCONCLUSIVE
        assert "no progress" in reason_of(result, Rung.RESTORE)
        before.check()
        assert verify(big_site).verdict is Verdict.PASSED
        before.check_clean()


@pytest.mark.parametrize("when", ["while it dumps", "before"])
def test_the_source_server_is_killed(
    make_server: MakeServer, short_folder: Path, when: str
) -> None:
    server = make_server(fsync="on")
    site = make_fault_site(postgres_rig(server), short_folder)
    site.rig.grow(BIG)
    site.back_up()

    def kill_all() -> None:
        for pid, started in procfs.members_of(server.pid):
            procfs.kill({(pid, started)})
        server.process.wait()

    before = Aftermath(site)
    killing = Once(kill_all)
    if when == "before":
        kill_all()
    with pytest.raises(Unreachable) as caught:
        site.back_up(emit=killing)
    assert caught.value.hint
    assert killing.done or when == "before"
    server.process = server._start()
    before.check()
    assert not before.newly_published()
    before.recover()


def verify(site: FaultSite, **changes: object) -> SetVerification:
    return verify_set(site.site(), "nightly", site.work(**changes), again=True)


def verdict_of(result: SetVerification, rung: Rung) -> Verdict:
    return next(r.verdict for r in result.stores[0].rungs if r.rung is rung)


def reason_of(result: SetVerification, rung: Rung) -> str:
    return next(r.reason for r in result.stores[0].rungs if r.rung is rung)


def test_the_disposable_server_is_killed_in_the_middle_and_nobody_blames_the_backup(
    big_site: FaultSite,
) -> None:
    with no_leftovers(patience=10):
        before = Aftermath(big_site)
        once = Once(kill_box_servers(big_site), step="restore")
        result = verify(big_site, emit=once)
        assert once.done == 1
        assert result.verdict is Verdict.PASSED, "the second attempt was undisturbed"

        always = Once(kill_box_servers(big_site), step="restore", times=99)
        result = verify(big_site, emit=always)
        assert always.done >= 3
        assert result.verdict is Verdict.INCONCLUSIVE
        assert verdict_of(result, Rung.RESTORE) is Verdict.INCONCLUSIVE
        before.check()
        before.check_clean()


@pytest.mark.parametrize("step", ["orders:restore", "restore", "orders:content"])
def test_the_verifying_process_is_killed_and_the_next_one_sweeps(
    big_site: FaultSite, step: str
) -> None:
    def child() -> None:
        def die(event: Event) -> None:
            kind: type[StepProgress | StepStarted] = (
                StepProgress if step == "restore" else StepStarted
            )
            if isinstance(event, kind) and event.step == step:
                os.kill(os.getpid(), signal.SIGKILL)

        verify(big_site, emit=die)

    before = Aftermath(big_site)
    with no_leftovers(patience=10):
        assert run_forked(child) == -signal.SIGKILL
        assert eventually(lambda: processes_in(big_site.folder / "boxes") == [], 10)
    before.check()
    assert verify(big_site).verdict is Verdict.PASSED
    before.check_clean()


@of_kinds(*WITH_DUMP_PROGRAM)
def test_a_restore_whose_program_is_killed_leaves_the_target_as_it_was(
    big_site: FaultSite,
) -> None:
    name = big_site.rig.place
    request = RestoreRequest(
        "nightly", options=RestoreOptions(overwrite=True, database=None), confirm=name
    )
    with aftermath(big_site):
        killing = Once(send(big_site, signal.SIGKILL, big_site.rig.restorer), step="restore")
        with pytest.raises(Unreachable, match="SIGKILL"):
            restore_set(big_site.site(), request, big_site.work(emit=killing))
        assert killing.done
