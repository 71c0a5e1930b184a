"""Disks that are really full, at many offsets: exit code 6, and everything older untouched."""

from __future__ import annotations

import pytest

from backup_lib.services.verify import verify_set
from restoreproof.errors import NoSpace
from restoreproof.exit_codes import ExitCode
from restoreproof.verdict import Verdict
from tests.harness.aftermath import Aftermath
from tests.harness.fault_site import FaultSite, of_kinds
from tests.harness.leaks import no_leftovers
from tests.harness.profiles import profile
from tests.harness.small_disk import small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

DISK = 24 << 20
DATA = 2 << 20
PAGE = 4096


def offsets(most: int) -> list[int]:
    """Free bytes from none to a little less than a backup takes."""
    count = 6 if profile() == "quick" else 60
    return [0, PAGE, 2 * PAGE, *(most * n // count // PAGE * PAGE for n in range(1, count))]


@of_kinds("postgres")
def test_a_full_destination_at_many_offsets(fault_site: FaultSite) -> None:
    fault_site.rig.grow(DATA)
    with small_disk(fault_site.backups, DISK) as disk:
        run = fault_site.back_up()
        full = 0
        for free in offsets(run.stored_bytes):
            before = Aftermath(fault_site)
            disk.leave(free)
            with no_leftovers():
                with pytest.raises(NoSpace) as caught:
                    fault_site.back_up()
                full += 1
                assert caught.value.exit_code is ExitCode.NO_SPACE
                assert "free" in caught.value.message + caught.value.hint
                assert not before.newly_published(), free
                disk.empty()
                before.check()
                before.check_clean()
        assert full >= 8
        before.recover()


def test_a_full_destination_through_the_command_line(fault_site: FaultSite) -> None:
    fault_site.rig.grow(DATA)
    with small_disk(fault_site.backups, DISK) as disk:
        fault_site.back_up()
        before = Aftermath(fault_site)
        disk.leave(1 << 20)
        done = fault_site.run("backup.run", "--set", "nightly", "--json")
        assert done.code == ExitCode.NO_SPACE, done
        assert done.document["error"]
        assert "Traceback" not in done.err
        disk.empty()
        before.check()
        before.recover()


@of_kinds("postgres")
@pytest.mark.parametrize("free", [0, PAGE, 4 * PAGE])
def test_a_full_state_folder(fault_site: FaultSite, free: int) -> None:
    fault_site.back_up()
    with small_disk(fault_site.state, 1 << 20) as disk:
        before = Aftermath(fault_site)
        disk.leave(free)
        verified = fault_site.run("backup.verify", "--set", "nightly", "--depth", "integrity")
        # without room for its memory a verification says that it could not judge
        assert verified.code in {ExitCode.OK, ExitCode.INCONCLUSIVE, ExitCode.NO_SPACE}, verified
        done = fault_site.run("backup.run", "--set", "nightly")
        assert done.code in {ExitCode.OK, ExitCode.NO_SPACE}, done
        assert free or done.code == ExitCode.NO_SPACE
        assert bool(before.newly_published()) is (done.code == ExitCode.OK)
        assert "Traceback" not in done.err + verified.err
        disk.empty()
        before.check()
        before.recover()


@of_kinds("postgres")
def test_a_full_scratch_folder_while_dumping(fault_site: FaultSite) -> None:
    # room is looked for before; here it goes away while the dump is written
    fault_site.rig.grow(DATA)
    fault_site.configure(store_options='format = "directory"\njobs = 1')
    fault_site.back_up()
    with small_disk(fault_site.tmp, DISK) as disk:
        before = Aftermath(fault_site)
        filled: list[int] = []

        def fill(event: object) -> None:
            if "dumping" in str(event) and not filled:
                filled.append(4 * PAGE)
                disk.leave(4 * PAGE)

        with no_leftovers():
            with pytest.raises(NoSpace):
                fault_site.back_up(emit=fill)
            assert filled
            disk.empty()
            before.check()
            before.recover()


@of_kinds("postgres")
@pytest.mark.parametrize("free", [0, PAGE, 16 * PAGE])
def test_a_full_scratch_folder_while_restoring_blames_nobody(
    fault_site: FaultSite, free: int
) -> None:
    fault_site.rig.grow(DATA)
    fault_site.configure(store_options='format = "directory"\njobs = 1')
    fault_site.back_up()
    with small_disk(fault_site.tmp, DISK) as disk:
        before = Aftermath(fault_site)
        disk.leave(free)
        result = verify_set(fault_site.site(), "nightly", fault_site.work())
        assert result.verdict is Verdict.INCONCLUSIVE
        disk.empty()
        result = verify_set(fault_site.site(), "nightly", fault_site.work(), again=True)
        assert result.verdict is Verdict.PASSED
        before.check()
        before.check_clean()


@of_kinds("postgres")
def test_a_full_disk_of_the_disposable_server_blames_nobody(fault_site: FaultSite) -> None:
    fault_site.back_up()
    verify = ("backup.verify", "--set", "nightly", "--again", "--json")
    boxes = fault_site.folder / "boxes"
    boxes.mkdir(mode=0o711)
    with small_disk(boxes, 4 << 20):
        done = fault_site.run(*verify)
        assert done.code == ExitCode.INCONCLUSIVE, done
    assert fault_site.run(*verify).code == ExitCode.OK
