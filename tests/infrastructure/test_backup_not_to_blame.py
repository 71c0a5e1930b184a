"""Whatever goes wrong without the backup being to blame: tried again, then inconclusive."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from backup_lib import BackupVerifier
from backup_lib.model import Rung, ServerFacts
from backup_lib.sandboxes.base import RunningServer, Sandbox, ServerRecipe
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.work import Work
from restoreproof.errors import Interrupted
from restoreproof.process import Cancellation
from restoreproof.verdict import Verdict
from tests.harness.debian import server_programs
from tests.harness.plain_backups import Dumped
from tests.harness.verifiers import last


@dataclass
class NeverStarted:
    """A real sandbox whose servers must not be started."""

    real: Sandbox
    kind: ClassVar[str] = "process"

    def offers(self, recipe: ServerRecipe) -> ServerFacts:
        return self.real.offers(recipe)

    def isolation(self) -> Mapping[str, str]:
        return self.real.isolation()

    def start(self, recipe: ServerRecipe, work: Work) -> AbstractContextManager[RunningServer]:
        raise AssertionError(f"{recipe.kind} was started with {work.jobs} jobs")


@dataclass
class Breaking:
    """A real sandbox whose server is gone the first ``times`` times, as by a crash."""

    real: Sandbox
    times: int
    started: int = 0
    kind: ClassVar[str] = "process"

    def offers(self, recipe: ServerRecipe) -> ServerFacts:
        return self.real.offers(recipe)

    def isolation(self) -> Mapping[str, str]:
        return self.real.isolation()

    @contextmanager
    def start(self, recipe: ServerRecipe, work: Work) -> Iterator[RunningServer]:
        with self.real.start(recipe, work) as server:
            self.started += 1
            if self.started > self.times:
                yield server
                return
            away = {**server.target.params, "host": f"{server.target.params['host']}/gone"}
            yield replace(server, target=replace(server.target, params=away))


def test_sandbox_does_not_start(dumped: Dumped, tmp_path: Path, sandbox_folder: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, script in (
        ("postgres", "echo 'postgres (PostgreSQL) 18.6'"),
        ("initdb", "echo 'no such luck' >&2; exit 1"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    sandbox = ProcessSandbox(programs={"postgres": programs}, folder=sandbox_folder)
    verifier = BackupVerifier(sandbox=sandbox)
    assert verifier.restore_test(dumped.dump(tmp_path / "orders.dump"), "postgres") is False
    assert (last(verifier).rung, last(verifier).verdict) == (Rung.RESTORE, Verdict.INCONCLUSIVE)
    assert "server" in last(verifier).reason
    empty = ProcessSandbox(programs={"postgres": tmp_path}, folder=sandbox_folder)
    verifier = BackupVerifier(sandbox=empty)
    assert verifier.restore_test(tmp_path / "orders.dump") is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("times", "verdict"), [(2, Verdict.PASSED), (3, Verdict.INCONCLUSIVE)])
def test_a_server_that_breaks_off_is_tried_again_and_never_blames_the_backup(
    dumped: Dumped, process_sandbox: Sandbox, tmp_path: Path, times: int, verdict: Verdict
) -> None:
    breaking = Breaking(process_sandbox, times)
    verifier = BackupVerifier(sandbox=breaking)
    verifier.restore_test(dumped.dump(tmp_path / "orders.dump"))
    assert last(verifier).verdict is verdict
    assert breaking.started == 3


@pytest.mark.parametrize("form", ["-Fc", "-Ft", "-Fd", "-Fp", "gzip"])
def test_a_dump_of_a_newer_major_is_refused_before_work_starts(
    dumped: Dumped, process_sandbox: Sandbox, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "orders"
    if form == "gzip":
        path.write_text(newer(dumped.dump(tmp_path / "text", "-Fp").read_text()))
        subprocess.run(["gzip", "--suffix=.gz", path], check=True)
        path = tmp_path / "orders.gz"
    else:
        dumped.dump(path, form)
        head = path / "toc.dat" if path.is_dir() else path
        head.write_bytes(newer(head.read_bytes().decode("latin-1")).encode("latin-1"))
    verifier = BackupVerifier(sandbox=NeverStarted(process_sandbox))
    assert verifier.restore_test(path, "postgres") is False
    assert (last(verifier).rung, last(verifier).verdict) == (Rung.RESTORE, Verdict.INCONCLUSIVE)
    assert "PostgreSQL 98." in last(verifier).reason
    assert "PostgreSQL 18." in last(verifier).reason
    assert "98" in last(verifier).hint


def newer(dump: str) -> str:
    """The dump, as if of a server of major version 98."""
    assert "18." in dump[:2000]
    return dump[:2000].replace("18.", "98.") + dump[2000:]


@pytest.mark.servers
def test_a_dump_of_18_is_not_tried_in_the_distributions_older_server(
    dumped: Dumped, tmp_path: Path, sandbox_folder: Path
) -> None:
    older = ProcessSandbox(programs={"postgres": server_programs()}, folder=sandbox_folder)
    verifier = BackupVerifier(sandbox=NeverStarted(older))
    assert verifier.restore_test(dumped.dump(tmp_path / "orders.dump"), "postgres") is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE
    assert "PostgreSQL 18." in last(verifier).reason
    assert "older PostgreSQL 1" in last(verifier).reason


def test_an_interruption_is_no_verdict(
    dumped: Dumped, process_sandbox: Sandbox, tmp_path: Path
) -> None:
    cancel = Cancellation()
    cancel.request()
    verifier = BackupVerifier(sandbox=process_sandbox, cancel=cancel)
    with pytest.raises(Interrupted):
        verifier.restore_test(dumped.dump(tmp_path / "orders.dump"))


def test_without_the_stores_library_nothing_is_judged_and_the_extra_is_named(
    dumped: Dumped, tmp_path: Path
) -> None:
    path = dumped.dump(tmp_path / "orders.dump")
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from backup_lib import BackupVerifier\n"
        "verifier = BackupVerifier()\n"
        "assert verifier.validate_integrity(sys.argv[1])\n"
        "assert not verifier.restore_test(sys.argv[1])\n"
        "print(verifier.last.verdict, verifier.last.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "inconclusive install the extra 'postgres' (README.md, Install)\n"


def test_a_scratch_folder_that_is_away_is_not_the_backups_fault(
    dumped: Dumped, process_sandbox: Sandbox, tmp_path: Path
) -> None:
    verifier = BackupVerifier(sandbox=process_sandbox, scratch=tmp_path / "unmounted")
    for path in (dumped.dump(tmp_path / "a.dump"), dumped.dump(tmp_path / "b", "-Fd")):
        assert verifier.restore_test(path) is False
        assert last(verifier).verdict is Verdict.INCONCLUSIVE
        assert "unmounted" in last(verifier).reason
