"""Disposable PostgreSQL servers in unusual places, at their limits, and with hostile clients."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from backup_lib.model import Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.postgres.server import PostgresRecipe, confined_client
from backup_lib.work import Work
from restoreproof.confine import NAMESPACES
from restoreproof.errors import JudgedBad, NoSpace
from restoreproof.events import Event, Warned
from restoreproof.process import clean_env
from tests.harness.ordinary_user import OrdinaryUser
from tests.harness.sandboxes import OPEN, remains_of


@pytest.fixture(scope="module")
def closed_programs() -> Iterator[Path]:
    """As in a virtual environment below ``/root``: other users cannot look in there."""
    bundled = PostgresRecipe().bundled_programs()
    assert bundled is not None
    package = bundled.parents[1]
    with tempfile.TemporaryDirectory(prefix="rp-closed-", dir="/tmp") as made:
        assert Path(made).stat().st_mode & 0o077 == 0
        closed = Path(made) / ".venv"
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, closed / source.name, ignore=shutil.ignore_patterns("include"))
        yield closed / package.name / "pginstall" / "bin"


def psql(
    programs: Path, target: Target, script: str, *, skip: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    argv = [f"{programs}/psql", "-X", "-At", make_conninfo(**target.params)]
    return subprocess.run(
        confined_client(argv, target, skip=skip),
        env=clean_env(),
        input=script,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("skip", [(), NAMESPACES], ids=["all layers", "no namespaces"])
def test_programs_in_a_closed_folder_serve(
    sandbox_folder: Path, closed_programs: Path, skip: tuple[str, ...]
) -> None:
    sandbox = ProcessSandbox(
        folder=sandbox_folder, programs={"postgres": closed_programs}, skip=skip
    )
    recipe = PostgresRecipe()
    with sandbox.start(recipe, Work()) as server:
        assert recipe.is_ready(server.target)
        for _ in range(2):
            said = psql(closed_programs, server.target, "SELECT 6 * 7", skip=skip)
            assert said.stdout == "42\n", said.stderr


@pytest.mark.parametrize(
    "skip", [(), NAMESPACES, ("landlock",)], ids=["all layers", "no namespaces", "no landlock"]
)
def test_a_client_fed_with_hostile_sql_reaches_nothing(
    sandbox_folder: Path, skip: tuple[str, ...]
) -> None:
    programs = PostgresRecipe().bundled_programs()
    assert programs is not None
    with tempfile.TemporaryDirectory(prefix="rp-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        key = Path(made) / "key.sql"
        key.write_text("SELECT 'planted-secret';")
        key.chmod(0o644)
        script = (
            f"\\! cat {key}\n\\i {key}\n\\copy (SELECT 1) TO PROGRAM 'cat {key} >&2'\n"
            f"\\set stolen `cat {key}`\n\\echo :stolen\n\\getenv secret PLANTED\n\\echo :secret\n"
            f"\\copy (SELECT 1) TO {made}/written\n\\o {made}/written\nSELECT 'went on';\n"
        )
        recipe = PostgresRecipe()
        with ProcessSandbox(folder=sandbox_folder, skip=skip).start(recipe, Work()) as server:
            said = psql(programs, server.target, script, skip=skip)
        assert "planted-secret" not in said.stdout + said.stderr
        assert [entry.name for entry in Path(made).iterdir()] == ["key.sql"]
        assert said.returncode == 0


def test_a_server_over_its_budget_is_stopped_and_nobody_blames_the_backup(
    sandbox_folder: Path,
) -> None:
    sandbox = ProcessSandbox(folder=sandbox_folder, budget=150_000_000)

    def restore(target: Target) -> None:
        try:
            with psycopg.connect(make_conninfo(**target.params), autocommit=True) as connection:
                connection.execute(
                    "CREATE TABLE big AS SELECT repeat(md5(i::text), 30) FROM"
                    " generate_series(1, 5000000) i"
                )
        except psycopg.Error as error:
            raise JudgedBad("the restore failed") from error

    with (
        pytest.raises(NoSpace, match="disk budget"),
        sandbox.start(PostgresRecipe(), Work()) as server,
    ):
        restore(server.target)
    assert remains_of(sandbox_folder) == []


def test_what_could_not_be_shut_in_is_said_aloud(sandbox_folder: Path) -> None:
    told: list[Event] = []
    sandbox = ProcessSandbox(folder=sandbox_folder, skip=OPEN)
    with sandbox.start(PostgresRecipe(), Work(emit=told.append)):
        pass
    (warning,) = [event for event in told if isinstance(event, Warned)]
    assert "files and network" in warning.message
    assert "landlock: no: not asked for" in warning.details


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without a name")
def test_a_user_without_a_name_is_inconclusive_with_the_reason(
    sandbox_folder: Path, ordinary_user: OrdinaryUser
) -> None:
    nameless = 61_500
    with pytest.raises(KeyError):
        pwd.getpwuid(nameless)
    somebody = OrdinaryUser(nameless, ordinary_user.interpreter, ordinary_user.paths)
    somebody.own(sandbox_folder)
    program = (
        "import sys; from pathlib import Path;"
        "from backup_lib.sandboxes.process import ProcessSandbox;"
        "from backup_lib.stores.postgres.server import PostgresRecipe;"
        "from backup_lib.work import Work;"
        "from restoreproof.errors import Inconclusive\n"
        "sandbox = ProcessSandbox(folder=Path(sys.argv[1]), attempts=1)\n"
        "try:\n"
        "    sandbox.start(PostgresRecipe(), Work()).__enter__()\n"
        "except Inconclusive as error:\n"
        "    print(error.message, error.hint)\n"
    )
    output, errors = somebody.python(program, str(sandbox_folder)).communicate(timeout=60)
    assert b"user does not exist" in output, errors.decode()
