"""Ctrl-C after each of many events: exit code 130, nothing left, the target as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restoreproof.exit_codes import ExitCode
from tests.harness.aftermath import Aftermath
from tests.harness.fault_site import Done, FaultSite, eventually, finish, interrupt
from tests.harness.leaks import no_leftovers
from tests.harness.profiles import profile

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def lines(events: Path) -> list[dict[str, object]]:
    """The events told so far."""
    if not events.exists():
        return []
    text = events.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def interrupted_after(site: FaultSite, count: int, *command: str) -> tuple[Done, list[str]]:
    """Run a command and interrupt it once it told so many events; how it ended, what it told."""
    events = site.folder / "events"
    events.unlink(missing_ok=True)
    running = site.start(*command, "--events", str(events))
    eventually(lambda: len(lines(events)) >= count or running.poll() is not None)
    if running.poll() is None:
        interrupt(running)
    done = finish(running)
    told = [str(line.get("step", "")) for line in lines(events)]
    events.unlink()
    assert "Traceback" not in done.out + done.err, done
    return done, told


def schedule(total: int, most: int) -> list[int]:
    """After how many events: all of them, or an even spread with the first."""
    if profile() != "quick" or total <= most:
        return list(range(1, total + 1))
    return sorted({1 + (total - 1) * n // most for n in range(most)})


def count_events(site: FaultSite, *command: str) -> int:
    done, told = interrupted_after(site, 10**9, *command)
    assert done.code == ExitCode.OK, done
    return len(told)


@pytest.fixture
def big_site(fault_site: FaultSite) -> FaultSite:
    fault_site.rig.grow(8 << 20)
    fault_site.back_up()
    return fault_site


def test_a_run_is_interrupted(big_site: FaultSite) -> None:
    command = ("backup.run", "--set", "nightly")
    codes = []
    for count in schedule(count_events(big_site, *command), 5):
        before = Aftermath(big_site)
        with no_leftovers(patience=10):
            done, _ = interrupted_after(big_site, count, *command)
        codes.append(done.code)
        assert done.code in {ExitCode.INTERRUPTED, ExitCode.OK}, done
        assert bool(before.newly_published()) is (done.code == ExitCode.OK), done
        before.check()
        before.check_clean()
    assert ExitCode.INTERRUPTED in codes
    before.recover()


def test_a_verification_is_interrupted(big_site: FaultSite) -> None:
    command = ("backup.verify", "--set", "nightly", "--again")
    codes = []
    for count in schedule(count_events(big_site, *command), 4):
        before = Aftermath(big_site)
        with no_leftovers(patience=10):
            done, _ = interrupted_after(big_site, count, *command)
        codes.append(done.code)
        assert done.code in {ExitCode.INTERRUPTED, ExitCode.OK}, done
        before.check()
        before.check_clean()
    assert ExitCode.INTERRUPTED in codes
    assert big_site.run(*command).code == ExitCode.OK


def test_a_restore_over_existing_data_is_interrupted(big_site: FaultSite) -> None:
    rig = big_site.rig
    name = rig.place
    backed_up = rig.content()
    command = ("backup.restore", "--set", "nightly", "--overwrite", "--confirm", name)
    total = count_events(big_site, *command)
    rig.alter()
    altered = rig.content()
    assert altered != backed_up
    codes = []
    for count in schedule(total, 5):
        with no_leftovers(patience=10):
            done, told = interrupted_after(big_site, count, *command)
        codes.append(done.code)
        assert done.code in {ExitCode.INTERRUPTED, ExitCode.OK}, done
        if rig.content() == backed_up:
            # whole, and nowhere in between: it had been put in place already
            assert done.code == ExitCode.OK or "content" in told, (done, told)
            rig.alter()
        elif rig.emptied():
            assert big_site.run(*command).code == ExitCode.OK
            rig.alter()
        assert rig.content() == altered
        Aftermath(big_site).check_clean()
    assert ExitCode.INTERRUPTED in codes
