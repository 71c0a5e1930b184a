"""One set over PostgreSQL and Valkey: their moments, their proofs, and damage to either."""

from __future__ import annotations

from pathlib import Path

import pytest
import valkey

from backup_lib.model import Rung
from backup_lib.services.restore import RestoreRequest, restore_set
from backup_lib.services.run import run_backup
from backup_lib.services.site import Site
from backup_lib.services.verify import verify_set
from backup_lib.stores.base import RestoreOptions
from backup_lib.work import Work
from restoreproof.errors import JudgedBad, Refused, Unreachable
from restoreproof.verdict import Verdict
from restoreproof_cli.demo.damage import Forgery, publish_forged, with_right_crc
from tests.harness.site import MakeSite
from tests.harness.valkey import MakeValkeyServer, ValkeyServer

SESSIONS = """
[store.sessions]
kind = "valkey"
url = "unix://{socket}"
assertions = ["DBSIZE == 1001", "GET status == open"]

[store.other]
kind = "valkey"
url = "unix://{other}"
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Work(scratch=scratch, stall_timeout=60, jobs=2)


@pytest.fixture
def site(
    make_site: MakeSite,
    valkey_server: ValkeyServer,
    make_valkey_server: MakeValkeyServer,
    tmp_path: Path,
) -> Site:
    with valkey_server.client() as client:
        client.mset({f"session:{n}": f"user {n}" for n in range(1000)})
        client.set("status", "open")
    other = make_valkey_server()
    made = make_site(tables=SESSIONS.format(socket=valkey_server.socket, other=other.socket))
    path = tmp_path / "restoreproof.toml"
    path.write_text(path.read_text().replace('["orders"]', '["orders", "sessions"]'))
    return Site.open(made.config.path)


def test_both_are_proven_and_their_skew_is_measured(site: Site, work: Work) -> None:
    manifest = run_backup(site, "nightly", work).manifest
    first, second = (record.backup.moment for record in manifest.stores)
    assert manifest.skew_seconds == abs((second - first).total_seconds())
    assert 0 < manifest.skew_seconds < 60
    assert [record.kind for record in manifest.stores] == ["postgres", "valkey"]

    result = verify_set(site, "nightly", work)
    assert result.verdict is Verdict.PASSED
    assert [store.comparison and store.comparison.level for store in result.stores] == [
        "exact",
        "exact",
    ]
    assert [rung.rung for rung in result.stores[1].rungs] == list(Rung)
    assert list(work.scratch.iterdir()) == []


def test_one_value_altered_with_every_checksum_repaired_is_found_at_content(
    site: Site, work: Work
) -> None:
    run = run_backup(site, "nightly", work)
    forgery = Forgery(b"user 500", b"user 5O0", "sessions", "data", with_right_crc)
    publish_forged(site, run.manifest, work, forgery)
    orders, sessions = verify_set(site, "nightly", work).stores
    assert orders.verdict is Verdict.PASSED
    seen = {rung.rung: rung.verdict for rung in sessions.rungs}
    assert seen.pop(Rung.CONTENT) is Verdict.FAILED
    assert set(seen.values()) == {Verdict.PASSED}


def test_one_store_that_breaks_off_publishes_nothing(
    site: Site, work: Work, valkey_server: ValkeyServer
) -> None:
    path = site.config.path
    path.write_text(path.read_text().replace(str(valkey_server.socket), "/nowhere/v.sock"))
    broken = Site.open(path)
    with pytest.raises(Unreachable):
        run_backup(broken, "nightly", work)
    assert list(broken.destination("disk").sets("nightly")) == []


def test_a_restore_goes_into_another_server_and_never_over_data(
    site: Site, work: Work, valkey_server: ValkeyServer
) -> None:
    with valkey_server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", "~*", "+get", ">secret")
    run_backup(site, "nightly", work)
    request = RestoreRequest(set_name="nightly", store="sessions", into="other")
    outcome = restore_set(site, request, work)
    assert outcome.content is not None
    assert outcome.content.verdict is Verdict.PASSED
    assert outcome.comparison is not None  # users stay as they are on a server that is kept
    assert "reader" in {gap.name for gap in outcome.comparison.unproven}

    with pytest.raises(Refused, match="holds 1001 keys"):
        restore_set(site, request, work)
    place = str(site.source("other").target().params["unix_socket_path"])
    options = RestoreOptions(overwrite=True)
    with pytest.raises(Refused, match="not confirmed"):
        restore_set(
            site,
            RestoreRequest("nightly", "sessions", into="other", options=options, confirm="x"),
            work,
        )
    again = restore_set(
        site,
        RestoreRequest("nightly", "sessions", into="other", options=options, confirm=place),
        work,
    )
    assert again.content is not None
    assert again.content.verdict is Verdict.PASSED

    run = run_backup(site, "nightly", work)
    forgery = Forgery(b"user 500", b"user 5O0", "sessions", "data", with_right_crc)
    publish_forged(site, run.manifest, work, forgery)
    with valkey.Valkey(unix_socket_path=place) as client:
        client.set("mine", "x")
    with pytest.raises(JudgedBad, match="was not replaced"):
        restore_set(
            site,
            RestoreRequest("nightly", "sessions", into="other", options=options, confirm=place),
            work,
        )
    with valkey.Valkey(unix_socket_path=place) as client:
        assert client.get("mine") == b"x"
        assert client.get("session:500") == b"user 500"
