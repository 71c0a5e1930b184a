"""Valkey servers that die, stand still or break off in the middle of the one synchronisation."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from backup_lib.sandboxes.base import ServerDied
from restoreproof.errors import Unreachable
from restoreproof.events import Event, StepProgress
from restoreproof.exit_codes import ExitCode
from restoreproof.process import procfs
from tests.harness.aftermath import Aftermath, aftermath
from tests.harness.cutting_proxy import cutting_proxy
from tests.harness.fault_site import FaultSite, of_kinds
from tests.harness.fault_valkey import READER
from tests.harness.valkey import ValkeyServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

BIG = 16 << 20
"""Bytes: more than all sockets and pipes hold, so that the server is still at it."""


class Once:
    """Injures once, at the first progress of a step."""

    def __init__(self, step: str, injure: Callable[[], object]) -> None:
        self._step = step
        self._injure = injure
        self.done = False

    def __call__(self, event: Event) -> None:
        if not self.done and isinstance(event, StepProgress) and event.step == self._step:
            self.done = True
            self._injure()


@pytest.fixture
def big_site(valkey_server: ValkeyServer, fault_site: FaultSite) -> FaultSite:
    fault_site.rig.grow(BIG)
    with valkey_server.client() as client:
        client.save()  # it is read again when the server starts again
    fault_site.back_up()
    return fault_site


@pytest.fixture
def started_again(valkey_server: ValkeyServer) -> Iterator[ValkeyServer]:
    """The worker's server; running again, and without the file, whatever was done to it."""
    yield valkey_server
    valkey_server.restart()
    (valkey_server.home / "dump.rdb").unlink(missing_ok=True)


def private_servers(source: ValkeyServer) -> set[procfs.Identity]:
    """What this process has started, and what that has started, but for the source."""
    everyone = [*procfs.everyone()]
    known, found = {os.getpid()}, set[procfs.Identity]()
    grown = True
    while grown:
        more = [
            s for s in everyone if s.parent in known and s.pid not in known and s.pid != source.pid
        ]
        known |= {s.pid for s in more}
        found |= {s.identity for s in more if s.alive}
        grown = bool(more)
    return found


@of_kinds("valkey")
def test_the_source_is_killed_in_the_middle_of_its_data(
    big_site: FaultSite, started_again: ValkeyServer
) -> None:
    before = Aftermath(big_site)
    killing = Once("sync", started_again.stop)
    with pytest.raises(Unreachable, match="broke off") as caught:
        big_site.back_up(emit=killing)
    assert killing.done
    assert caught.value.exit_code is ExitCode.UNREACHABLE
    started_again.restart()
    big_site.rig.execute(READER)
    before.check()
    assert not before.newly_published()
    before.recover()


@of_kinds("valkey")
def test_the_source_is_stopped_and_is_told_stuck(
    big_site: FaultSite, started_again: ValkeyServer
) -> None:
    stopping = Once("sync", lambda: os.kill(started_again.pid, signal.SIGSTOP))
    with aftermath(big_site):
        try:
            with pytest.raises(Unreachable, match="sent nothing for 1 s"):
                big_site.back_up(emit=stopping, stall_timeout=1.0)
        finally:
            os.kill(started_again.pid, signal.SIGCONT)
        assert stopping.done


@of_kinds("valkey")
@pytest.mark.parametrize(("silent", "says"), [(False, "broke off"), (True, "sent nothing for 1 s")])
def test_the_connection_is_cut_or_falls_silent(
    big_site: FaultSite, started_again: ValkeyServer, silent: bool, says: str
) -> None:
    address = big_site.folder / "orders.url"
    good = address.read_text()
    with aftermath(big_site):
        with cutting_proxy(started_again.port, after=BIG // 2, silent=silent) as port:
            address.write_text(f"valkey://127.0.0.1:{port}")
            with pytest.raises(Unreachable, match=says):
                big_site.back_up(stall_timeout=1.0)
        address.write_text(good)


@of_kinds("valkey")
@pytest.mark.parametrize("step", ["sync", "fingerprint"])
def test_the_private_server_that_reads_the_content_is_killed(
    big_site: FaultSite, started_again: ValkeyServer, step: str
) -> None:
    others = private_servers(started_again)  # such as the servers of other tests

    def kill() -> None:
        found = private_servers(started_again) - others
        assert found
        procfs.kill(found)

    with aftermath(big_site):
        killing = Once(step, kill)
        with pytest.raises(ServerDied) as caught:
            big_site.back_up(emit=killing)
        assert killing.done
        assert caught.value.exit_code is ExitCode.INCONCLUSIVE
        assert caught.value.hint
