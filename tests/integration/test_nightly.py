"""The nightly job over several sets: each is judged, told where it wants to be told, and proven."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_lib import BackupVerifier
from backup_lib.model import Rung
from backup_lib.services.nightly import verify_sets
from backup_lib.services.run import run_backup, run_backups
from backup_lib.services.site import Site
from backup_lib.work import Work
from restoreproof.clock import MovableClock
from restoreproof.errors import Unreachable, UsageError
from restoreproof.events import Event, Warned
from restoreproof.proof import read_proof
from restoreproof.verdict import Verdict
from tests.harness.site import MakeSite
from tests.harness.valkey import ValkeyServer


@pytest.fixture
def work(tmp_path: Path) -> Work:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Work(scratch=scratch)


def heard(work: Work) -> tuple[Work, list[Warned]]:
    warnings: list[Warned] = []

    def listen(event: Event) -> None:
        if isinstance(event, Warned):
            warnings.append(event)

    return replace(work, emit=listen), warnings


def damage(site: Site, set_id: str, set_name: str = "nightly") -> None:
    folder = site.config.base / "backups" / set_name / set_id
    path = next((folder / "orders").glob("database*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def stream_length(server: ValkeyServer, stream: str) -> int:
    with server.client() as client:
        return int(client.xlen(stream))


def test_every_verification_leaves_a_signed_proof_about_that_very_set(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    run = run_backup(site, "nightly", work)
    (good,) = verify_sets(site, ["nightly"], work)
    damage(site, run.ref.set_id)
    (bad,) = verify_sets(site, ["nightly"], work)

    proofs = [read_proof(Path(r.proof).read_bytes(), site.trusted) for r in (good, bad)]
    assert [proof.predicate.verdict for proof in proofs] == [Verdict.PASSED, Verdict.FAILED]
    assert [proof.predicate.stores[0].level for proof in proofs] == ["exact", "none"]
    folder = site.config.base / "backups" / "nightly" / run.ref.set_id
    manifest = hashlib.sha256((folder / "manifest.dsse.json").read_bytes()).hexdigest()
    assert {proof.manifest_digest for proof in proofs} == {manifest}
    assert all(
        proof.covers(artifact.sha256)
        for proof in proofs
        for artifact in run.manifest.stores[0].artifacts
    )


def test_the_depth_of_a_configuration_may_be_every_rung(make_site: MakeSite, work: Work) -> None:
    site = make_site(store_options='assertions = ["select count(*) = 1000 from orders"]')
    run_backup(site, "nightly", work)
    verifier = BackupVerifier(scratch=work.scratch)
    assert verifier.verify_all(site.config, depth="assertions") == {"nightly/orders": True}
    assert verifier.results[0].stores[0].rungs[-1].rung is Rung.ASSERTIONS
    with pytest.raises(UsageError, match="no rung"):
        verifier.verify_all({"path": site.config.path}, depth="assertions")


def test_a_store_that_the_set_lacks_is_in_the_proof_as_a_failure(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    run_backup(site, "nightly", work)
    path = site.config.path
    text = path.read_text().replace('stores = ["orders"]', 'stores = ["orders", "extra"]')
    path.write_text(text + '[store.extra]\nkind = "postgres"\ndsn = { file = "orders.dsn" }\n')
    (result,) = verify_sets(Site.open(path), ["nightly"], work)
    proof = read_proof(Path(result.proof).read_bytes(), site.trusted)
    assert {store.name: store.verdict for store in proof.predicate.stores} == {
        "orders": Verdict.PASSED,
        "extra": Verdict.FAILED,
    }
    assert proof.predicate.verdict is Verdict.FAILED


@pytest.mark.parametrize("obstacle", ["no key", "a file in the way"])
def test_a_proof_that_cannot_be_kept_is_said_and_changes_no_verdict(
    obstacle: str, make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    run_backup(site, "nightly", work)
    if obstacle == "no key":
        site.config.signing_key.unlink()
    else:
        site.proofs.write_text("")
    work, warnings = heard(work)
    (result,) = verify_sets(site, ["nightly"], work)
    assert result.verdict is Verdict.PASSED
    assert result.proof == ""
    (told,) = [w for w in warnings if w.message.startswith("no proof was kept: ")]
    assert told.hint


def test_each_set_tells_its_own_channels_by_its_own_route_and_patience(
    make_site: MakeSite, work: Work, valkey_server: ValkeyServer
) -> None:
    def channel(name: str) -> str:
        return f'[alert.{name}]\nkind = "valkey"\nurl = "{valkey_server.url}"\nstream = "{name}"\n'

    quiet = (
        '[set.quiet]\nstores = ["orders"]\ndestination = "disk"\nalerts = []\n'
        '[set.second]\nstores = ["orders"]\ndestination = "disk"\nalerts = ["b", "a"]\n'
        'alert_route = "fallback"\n'
    )
    clock = MovableClock(datetime.now(UTC))
    site = make_site(
        set_options='alerts = ["a"]\nremind_after = "2h"',
        tables=quiet + channel("a") + channel("b"),
        clock=clock,
    )
    work = replace(work, clock=clock)
    # there is no backup at all: each of the three fails
    verify_sets(site, site.sets, work)
    assert [stream_length(valkey_server, s) for s in ("a", "b")] == [1, 1]
    clock.move(timedelta(hours=1))
    verify_sets(site, site.sets, work)
    assert [stream_length(valkey_server, s) for s in ("a", "b")] == [1, 1]
    clock.move(timedelta(hours=1, minutes=1))
    verify_sets(site, site.sets, work)
    # nightly reminds after two hours, the second set after a day
    assert [stream_length(valkey_server, s) for s in ("a", "b")] == [2, 1]


def test_a_set_that_fails_does_not_keep_the_others_from_their_backup(
    make_site: MakeSite, work: Work
) -> None:
    broken = (
        '[set.a-broken]\nstores = ["away"]\ndestination = "disk"\n'
        '[store.away]\nkind = "postgres"\ndsn = { file = "away.dsn" }\n'
    )
    site = make_site(tables=broken)
    (site.config.base / "away.dsn").write_text("host=127.0.0.1 port=1 dbname=x")
    (site.config.base / "away.dsn").chmod(0o600)
    work, warnings = heard(work)
    with pytest.raises(Unreachable, match="1 of 2 sets were not backed up; a-broken: ") as caught:
        run_backups(site, ["a-broken", "nightly"], work)
    assert caught.value.hint
    assert [w.message for w in warnings if w.message.startswith("a-broken was not backed up")]
    (result,) = verify_sets(site, ["nightly"], work)
    assert result.verdict is Verdict.PASSED


def test_a_backups_id_alone_names_its_set_and_nothing_is_guessed(
    make_site: MakeSite, work: Work
) -> None:
    second = '[set.weekly]\nstores = ["orders"]\ndestination = "disk"\n'
    site = make_site(tables=second)
    nightly, weekly = run_backups(site, ["nightly", "weekly"], work)
    assert site.sets_meant(None, weekly.ref.set_id) == ("weekly",)
    assert site.one_set(None, nightly.ref.set_id) == "nightly"
    assert site.sets_meant(None, None) == ("nightly", "weekly")
    with pytest.raises(UsageError, match="which set is meant"):
        site.one_set(None, None)
    with pytest.raises(UsageError, match="nightly and weekly"):
        site.sets_meant(None, nightly.ref.set_id[:8])
    with pytest.raises(UsageError, match="no configured set has a backup 1999"):
        site.sets_meant(None, "1999")
