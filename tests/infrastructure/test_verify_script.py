"""``scripts/verify_backup.py``: lines, documents and exit codes, as a cron job meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backup_lib.services.run import run_backup
from backup_lib.work import Work
from restoreproof_cli.demo.damage import flip_one_bit
from tests.harness.plain_backups import Dumped
from tests.harness.site import MakeSite

ROOT = Path(__file__).parents[2]


def script(*arguments: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "verify_backup.py", *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "LC_ALL": "C.UTF-8", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


def test_the_script_judges_a_good_backup_line_by_line(dumped: Dumped, tmp_path: Path) -> None:
    dumped.dump(tmp_path / "-orders.dump")
    options = ("--type", "postgres", "--max-age-hours", "1", "--min-bytes", "10")
    done = script(*options, "--", "-orders.dump", cwd=tmp_path)
    assert done.returncode == 0, done
    lines = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("    ✓")]
    assert lines == [["✓", rung] for rung in ("exists", "fresh", "size", "integrity", "restore")]
    assert "2 tables, 1,007 rows" in done.stdout
    document = json.loads(script("./-orders.dump", "--json", cwd=tmp_path).stdout)
    assert (document["verdict"], document["exit_code"]) == ("passed", 0)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("missing.dump",), 1, "missing.dump is missing"),
        (("cut.sql",), 1, "cut"),
        (("notes.txt",), 2, "cannot be told"),
        (("export.json",), 2, "cannot be rehearsed"),
        (("export.json", "--depth", "integrity"), 0, "JSON"),
        ((), 3, "which backup?"),
        (("--bogus",), 3, "--bogus"),
        (("x", "y"), 3, "unrecognized arguments: y"),
        (("x", "--max-age-hours", "soon"), 3, "soon"),
        (("x", "--min-bytes", "-4"), 3, "-4"),
        (("x", "--type", "postgers"), 3, 'did you mean "postgres"?'),
        (("x", "--depth", "deep"), 3, "deep"),
        (("--config", "missing.toml"), 3, "missing.toml"),
        (("--config", "missing.toml", "--type", "json"), 3, "--type is about a PATH"),
        (("--help",), 0, "exit codes:"),
    ],
)
def test_the_script_ends_with_the_right_code_and_one_clear_sentence(
    arguments: tuple[str, ...], code: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "cut.sql").write_text("--\n-- PostgreSQL database dump\n--\n\nCREATE TAB")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "export.json").write_text('{"n": 1}\n')
    done = script(*arguments, cwd=tmp_path)
    assert done.returncode == code, done
    assert says in done.stdout + done.stderr
    if code and "--help" not in arguments:
        document = json.loads(script(*arguments, "--json", cwd=tmp_path).stdout)
        assert document["exit_code"] == code


def test_the_script_verifies_the_sets_of_a_configuration(
    make_site: MakeSite, tmp_path: Path
) -> None:
    site = make_site()
    run_backup(site, "nightly", Work(scratch=tmp_path))
    done = script("--config", site.config.path, "--depth", "integrity", cwd=tmp_path)
    assert done.returncode == 0, done
    assert "nightly" in done.stdout
    flip_one_bit(next((tmp_path / "backups").rglob("database.dump.zst")))
    done = script("--config", site.config.path, cwd=tmp_path)
    assert done.returncode == 1, done


def test_the_script_ends_with_130_when_it_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text('{"n": 1}\n')
    program = (
        "import os, runpy, signal, sys; sys.argv = sys.argv[1:];"
        "import backup_lib.services.plain_files as files; real = files.check_integrity;\n"
        "def interrupted(*args):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(*args)\n"
        "import backup_lib.services.plain_ladder as ladder\n"
        "ladder.check_integrity = interrupted\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, ROOT / "scripts" / "verify_backup.py", path],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done
    assert "Traceback" not in done.stderr
