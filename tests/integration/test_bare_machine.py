"""A restore from a destination and a trusted key alone: what the set's configuration brings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import pytest

from backup_lib.format.sets import read_manifest, sign_manifest
from backup_lib.services.bare import open_bare
from backup_lib.services.restore import RestoreRequest, restore_set
from backup_lib.services.run import run_backup
from backup_lib.services.verify import verify_set
from backup_lib.stores.base import RestoreOptions
from backup_lib.work import Work
from restoreproof.errors import UsageError
from restoreproof.signing import SigningKey
from restoreproof.verdict import Verdict
from tests.harness.postgres import PostgresServer
from tests.harness.site import MakeSite, database_of

TABLES = """
[sandbox.usual]
kind = "process"

[sandbox.own]
kind = "process"

[alert.pager]
kind = "apprise"
url = { env = "PAGER_URL" }
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Work(scratch=scratch, stall_timeout=60, jobs=2)


def test_a_set_with_alerts_sandboxes_and_a_relative_secret_is_restored(
    make_site: MakeSite,
    work: Work,
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = make_site(
        set_options='alerts = ["pager"]\nsandbox = "usual"',
        store_options='sandbox = "own"',
        tables=TABLES,
    )
    run_backup(site, "nightly", work)
    (key,) = site.trusted
    new = tmp_path / "new machine"
    new.mkdir()
    shutil.copytree(site.config.base / "backups", new / "backups")
    state = tmp_path / "state"
    monkeypatch.chdir(new)

    bare = open_bare(Path("backups"), key.text, state)
    assert verify_set(bare, "nightly", work).verdict is Verdict.PASSED
    assert not bare.alert_channels()
    with pytest.raises(UsageError, match=r"orders\.dsn"):
        restore_set(bare, RestoreRequest("nightly"), work)

    shutil.copy2(site.config.base / "orders.dsn", new)
    name = f"{database_of(site)}_bare"
    request = RestoreRequest("nightly", options=RestoreOptions(database=name))
    try:
        assert restore_set(bare, request, work).content is not None
    finally:
        postgres.drop_database(name)
    assert sorted(path.name for path in new.iterdir()) == ["backups", "orders.dsn"]


def test_a_set_of_an_earlier_version_that_names_what_it_does_not_bring_is_opened(
    make_site: MakeSite, work: Work, tmp_path: Path
) -> None:
    site = make_site()
    ref = run_backup(site, "nightly", work).ref
    key = SigningKey.load(site.config.signing_key)
    manifest = read_manifest(site.destination("disk"), ref, site.trusted).manifest
    sets = cast("dict[str, dict[str, object]]", manifest.configuration["set"])
    sets["nightly"] |= {"alerts": ["pager"], "sandbox": "gone", "rto": "PT1S", "keep": {}}
    path = site.config.base / "backups" / ref.set_name / ref.set_id / "manifest.dsse.json"
    path.write_bytes(sign_manifest(manifest, key))

    bare = open_bare(site.config.base / "backups", key.public.text, tmp_path / "state")
    assert bare.config.set("nightly").alerts is None
    assert bare.sandbox_for("nightly", "orders") is not None
