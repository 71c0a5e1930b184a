"""A substitute machine without the library of an alert channel: restored from all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from backup_lib.services.site import Site
from restoreproof.exit_codes import ExitCode
from tests.harness.postgres import PostgresServer
from tests.harness.site import MakeSite, database_of

PAGER = """
[alert.ops]
kind = "apprise"
url = { env = "PAGER_URL" }
"""

PROGRAM = (
    "import sys; sys.modules['apprise'] = None\nfrom restoreproof_cli.main import main\nmain()\n"
)


def run(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, in a Python that has no apprise."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=site.config.base,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(rows=10, set_options='alerts = ["ops"]', tables=PAGER)


def test_tasks_that_alert_nobody_need_no_alert_channel(
    site: Site, postgres: PostgresServer
) -> None:
    restored = f"{database_of(site)}_restored"
    try:
        for words in (
            ("backup.keys",),
            ("backup.run", "--quiet"),
            ("backup.list",),
            ("backup.show",),
            ("backup.restore", "--quiet", "--database", restored),
        ):
            done = run(site, *words)
            assert done.returncode == ExitCode.OK, (words, done.stderr)
            assert "apprise" not in done.stderr
        with postgres.connect(restored) as connection:
            assert connection.execute("select count(*) from orders").fetchone() == (10,)
    finally:
        postgres.drop_database(restored)


@pytest.mark.parametrize("task", ["backup.verify", "backup.doctor", "config.check"])
def test_tasks_that_would_alert_somebody_say_that_they_cannot(site: Site, task: str) -> None:
    done = run(site, task)
    assert done.returncode == ExitCode.USAGE
    assert "alert.ops.kind is not usable" in done.stderr
    assert "install the extra 'alerts'" in done.stderr


def test_a_set_that_names_a_channel_which_is_not_there_is_refused_everywhere(
    make_site: MakeSite,
) -> None:
    site = make_site(rows=1)
    path = site.config.path
    path.write_text(path.read_text().replace("[store.", 'alerts = ["nobody"]\n[store.', 1))
    done = run(site, "backup.list")
    assert done.returncode == ExitCode.USAGE
    assert 'names "nobody", but there is no such alert' in done.stderr
