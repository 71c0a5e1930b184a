"""What was damaged before its digest was made is never published: no digest would tell."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import cast

import pytest
import zstandard

from backup_lib.format.pipeline import Compressing
from restoreproof.errors import InternalError, RestoreproofError, Unreachable
from restoreproof.exit_codes import ExitCode
from tests.harness import fake_tools
from tests.harness.aftermath import aftermath
from tests.harness.fake_tools import fake_tool
from tests.harness.fault_site import FaultSite, of_kinds
from tests.harness.fault_stores import WITH_DUMP_PROGRAM
from tests.harness.postgres import bundled_programs

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

BEHAVIOURS = {
    "half of it and exit code 0": fake_tools.HALF_AND_EXIT_0,
    "all but the last byte and exit code 0": fake_tools.ALL_BUT_THE_LAST_BYTE,
    "all of it and exit code 1": fake_tools.ALL_AND_EXIT_1,
    "all of it, then killed": fake_tools.ALL_AND_KILLED,
    "nothing and exit code 0": fake_tools.NOTHING_AND_EXIT_0,
    "garbage and exit code 0": fake_tools.GARBAGE_AND_EXIT_0,
    "its pipe cut": fake_tools.PIPE_CUT,
}

FIND_FOLDER = 'for a; do case "$a" in --file=*) d="${a#--file=}";; esac; done; '


def with_tool(site: FaultSite, tool: str, behaviour: str, options: str = "") -> None:
    folder = fake_tool(site.folder / "tools", bundled_programs(), tool, behaviour)
    dumped = site.back_up().manifest.stores[0].artifacts[0].plain_size
    (folder / "bytes").write_text(str(dumped))
    site.configure(store_options=f'programs = "{folder}"\n{options}')


def check_never_published(site: FaultSite, *codes: ExitCode) -> None:
    with aftermath(site) as before:
        for json in ((), ("--json",)):
            done = site.run("backup.run", "--set", "nightly", *json)
            assert done.code in codes, done
            assert "Traceback" not in done.out + done.err
        before.check()
        site.configure(store_options="")


@of_kinds(*WITH_DUMP_PROGRAM)
@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_a_dump_that_is_not_whole_is_never_published(fault_site: FaultSite, behaviour: str) -> None:
    fault_site.rig.grow(1 << 20)
    with_tool(fault_site, "pg_dump", behaviour)
    check_never_published(fault_site, ExitCode.UNREACHABLE)


@of_kinds(*WITH_DUMP_PROGRAM)
@pytest.mark.parametrize(
    "behaviour",
    [
        FIND_FOLDER + '"$REAL" "$@"; f=$(ls -S "$d"/[0-9]*.dat | head -1); rm "$f"; exit 0',
        FIND_FOLDER + '"$REAL" "$@"; truncate -s 10 "$d/toc.dat"; exit 0',
        '"$REAL" "$@"; exit 1',
    ],
    ids=["a file is missing", "its table of contents is cut", "exit code 1"],
)
def test_a_dump_in_directory_format_that_is_not_whole_is_never_published(
    fault_site: FaultSite, behaviour: str
) -> None:
    with_tool(fault_site, "pg_dump", behaviour, 'format = "directory"')
    check_never_published(fault_site, ExitCode.UNREACHABLE)


@of_kinds(*WITH_DUMP_PROGRAM)
@pytest.mark.parametrize(
    "behaviour",
    [fake_tools.HALF_AND_EXIT_0, fake_tools.ALL_AND_EXIT_1, fake_tools.NOTHING_AND_EXIT_0],
    ids=["half and exit code 0", "exit code 1", "nothing and exit code 0"],
)
def test_roles_that_are_not_whole_are_never_published(
    fault_site: FaultSite, behaviour: str
) -> None:
    behaviour = behaviour.replace('"$(($(cat "$HERE/bytes") / 2))"', "100")
    with_tool(fault_site, "pg_dumpall", behaviour)
    check_never_published(fault_site, ExitCode.UNREACHABLE)


def test_a_compressor_that_dies_publishes_nothing(
    fault_site: FaultSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault_site.back_up()
    with aftermath(fault_site), monkeypatch.context() as patch:
        calls = iter(range(1000))
        good = Compressing.write

        def write(self: Compressing, data: bytes | memoryview) -> None:
            if next(calls) == 1:
                self._chunker = cast("zstandard.ZstdCompressionChunker", _Dying())
            good(self, data)

        patch.setattr(Compressing, "write", write)
        with pytest.raises(InternalError, match="compressing"):
            fault_site.back_up()


class _Dying:
    def compress(self, _data: object) -> Iterator[bytes]:
        yield b""
        raise zstandard.ZstdError("out of memory")


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_disk_that_breaks_while_it_is_written_publishes_nothing(
    fault_site: FaultSite, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    fault_site.back_up()
    good = os.fsync
    with aftermath(fault_site), monkeypatch.context() as patch:
        count = iter(range(1000))

        def fsync(fd: int) -> None:
            if next(count) >= after:
                raise OSError(errno.EIO, "Input/output error")
            good(fd)

        patch.setattr(os, "fsync", fsync)
        with pytest.raises(RestoreproofError) as caught:
            fault_site.back_up()
        assert isinstance(caught.value, Unreachable)
