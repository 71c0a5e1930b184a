"""Attempts to fool the nightly job around the data: its memory, clocks, alerts and sets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backup_lib.destinations.base import SetRef
from backup_lib.format.sets import sign_manifest
from backup_lib.model import Rung, RungResult, SetVerification, StoreRecord
from backup_lib.services.keys import trust_key
from backup_lib.services.nightly import verify_sets
from backup_lib.services.run import BackupRun, run_backup
from backup_lib.services.site import Site
from backup_lib.services.verify import verify_set
from backup_lib.work import Work
from restoreproof.clock import MovableClock
from restoreproof.errors import NoSpace, UsageError
from restoreproof.events import Event, Warned
from restoreproof.verdict import Verdict
from restoreproof_cli.demo.damage import Forgery, publish_forged
from tests.harness.postgres import PostgresServer
from tests.harness.site import MakeSite, database_of
from tests.harness.valkey import ValkeyServer


@pytest.fixture
def work(tmp_path: Path) -> Work:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Work(scratch=scratch)


def back_up(site: Site, work: Work) -> BackupRun:
    return run_backup(site, "nightly", work)


def rung(result: SetVerification, which: Rung) -> RungResult:
    (store,) = result.stores
    return next(found for found in store.rungs if found.rung is which)


def folder_of(site: Site, ref: SetRef) -> Path:
    return site.config.base / "backups" / ref.set_name / ref.set_id


def sign_anew(site: Site, run: BackupRun, change: Callable[[StoreRecord], StoreRecord]) -> None:
    """Alter the manifest and sign it with the key that is trusted."""
    (record,) = run.manifest.stores
    altered = replace(run.manifest, stores=(change(record),))
    path = folder_of(site, run.ref) / "manifest.dsse.json"
    path.write_bytes(sign_manifest(altered, site.signing_key()))


def heard(work: Work) -> tuple[Work, list[Warned]]:
    warnings: list[Warned] = []

    def listen(event: Event) -> None:
        if isinstance(event, Warned):
            warnings.append(event)

    return replace(work, emit=listen), warnings


# ── what is remembered ──────────────────────────────────────────────────────────────────────────


def test_a_proof_of_a_whole_second_is_read_again(make_site: MakeSite, work: Work) -> None:
    clock = MovableClock(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2))
    work = replace(work, clock=clock)
    site = make_site(clock=clock)
    back_up(site, work)
    verify_set(site, "nightly", work)
    assert verify_set(site, "nightly", work, again=True).verdict is Verdict.PASSED


def _no_json(_data: dict[str, Any]) -> str:
    return "{"


def _without_digest(data: dict[str, Any]) -> str:
    for sets in data["data"]["newest"].values():
        for seen in sets.values():
            del seen["digest"]
    return json.dumps(data)


def _newer(data: dict[str, Any]) -> str:
    return json.dumps({**data, "format": 99})


@pytest.mark.parametrize("damage", [_no_json, _without_digest, _newer])
def test_a_memory_that_cannot_be_read_is_inconclusive_and_told(
    damage: Callable[[dict[str, Any]], str],
    make_site: MakeSite,
    work: Work,
    valkey_server: ValkeyServer,
) -> None:
    stream = f"memory-{damage.__name__}"
    channel = f'[alert.a]\nkind = "valkey"\nurl = "{valkey_server.url}"\nstream = "{stream}"\n'
    site = make_site(tables=channel)
    back_up(site, work)
    memory = site.config.state / "verified.json"
    memory.write_text(damage(json.loads(memory.read_text())))
    (result,) = verify_sets(site, ["nightly"], work)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert rung(result, Rung.EXISTS).hint
    with valkey_server.client() as client:
        assert client.xlen(stream) == 1


def test_a_memory_that_is_damaged_within_is_told_by_a_backup_that_is_published(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    memory = site.config.state / "verified.json"
    memory.write_text(json.dumps({"format": 1, "data": {"newest": {"disk": {"nightly": "x"}}}}))
    listening, warnings = heard(work)
    assert back_up(site, listening).manifest.sequence == 2
    assert any("is not remembered" in warned.message for warned in warnings)


def test_a_remembered_proof_that_cannot_be_read_is_made_anew(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    verify_set(site, "nightly", work)
    memory = site.config.state / "verified.json"
    memory.write_text(memory.read_text().replace('"rung": "content"', '"rung": "contents"'))
    result = verify_set(site, "nightly", work)
    assert result.verdict is Verdict.PASSED
    assert rung(result, Rung.CONTENT).remembered is None


@pytest.mark.parametrize("change", ["sandbox", "assertions", "depth", "version"])
def test_a_proof_is_not_remembered_for_other_circumstances(
    change: str, make_site: MakeSite, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(store_options='assertions = ["select true"]')
    back_up(site, work)
    verify_set(site, "nightly", work)
    assert rung(verify_set(site, "nightly", work), Rung.RESTORE).remembered
    text = site.config.path.read_text()
    depth = Rung.ASSERTIONS
    if change == "sandbox":
        text += '[sandbox.other]\nkind = "process"\nstart_timeout = "2m"\n'
    elif change == "assertions":
        text = text.replace("select true", "select 1 = 1")
    elif change == "depth":
        depth = Rung.CONTENT
    else:
        monkeypatch.setattr("backup_lib.services.verify.version", lambda: "99")
    site.config.path.write_text(text)
    result = verify_set(Site.open(site.config.path), "nightly", work, depth=depth)
    assert result.verdict is Verdict.PASSED
    assert rung(result, Rung.RESTORE).remembered is None


def test_a_remembered_proof_does_not_hide_a_lost_or_altered_artifact(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    run = back_up(site, work)
    verify_set(site, "nightly", work)
    path = next(folder_of(site, run.ref).rglob("database*"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert rung(verify_set(site, "nightly", work), Rung.INTEGRITY).verdict is Verdict.FAILED
    path.unlink()
    assert rung(verify_set(site, "nightly", work), Rung.EXISTS).verdict is Verdict.FAILED


def test_a_verdict_is_given_though_the_proof_cannot_be_remembered(
    make_site: MakeSite, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    back_up(site, work)

    def full(*_: object) -> None:
        raise NoSpace("the disk is full")

    monkeypatch.setattr(site.memory, "prove", full)
    work, warnings = heard(work)
    assert verify_set(site, "nightly", work).verdict is Verdict.PASSED
    assert any("the proof is not remembered" in warned.message for warned in warnings)


# ── which set is judged ─────────────────────────────────────────────────────────────────────────


def test_a_set_that_vanishes_before_it_was_ever_verified_is_missed(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    verify_set(site, "nightly", work, depth=Rung.EXISTS)
    shutil.rmtree(folder_of(site, back_up(site, work).ref))
    result = verify_set(site, "nightly", work, depth=Rung.EXISTS)
    assert "newer sets are gone" in rung(result, Rung.EXISTS).reason
    assert result.verdict is Verdict.FAILED


def test_two_machines_that_give_the_same_number_replaced_nothing(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    run = back_up(site, work)
    other = replace(run.ref, set_id="20991231T235959Z-ffffff")
    shutil.copytree(folder_of(site, run.ref), folder_of(site, other))
    later = replace(run.manifest, set_id=other.set_id, started=run.manifest.finished)
    manifest = folder_of(site, other) / "manifest.dsse.json"
    manifest.write_bytes(sign_manifest(later, site.signing_key()))
    result = verify_set(site, "nightly", work, depth=Rung.EXISTS)
    assert (result.set_id, result.verdict) == (other.set_id, Verdict.PASSED)
    shutil.rmtree(folder_of(site, other))
    assert verify_set(site, "nightly", work, depth=Rung.EXISTS).verdict is Verdict.FAILED


def test_a_set_brought_from_another_machine_that_is_trusted_is_told_by_its_key(
    make_site: MakeSite, work: Work, tmp_path: Path
) -> None:
    here, there = (make_site(folder=_folder(tmp_path / name)) for name in ("here", "there"))
    back_up(here, work)
    assert verify_set(here, "nightly", work, depth=Rung.EXISTS).notes == ()
    back_up(there, work)
    brought = back_up(there, work).ref
    trust_key(here, str(next(there.config.trusted_keys.iterdir())))
    shutil.copytree(folder_of(there, brought), folder_of(here, brought))
    result = verify_set(Site.open(here.config.path), "nightly", work, depth=Rung.EXISTS)
    assert result.set_id == brought.set_id
    (note,) = result.notes
    assert there.signing_key().public.key_id[:16] in note


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_set_without_its_dump_is_bad(make_site: MakeSite, work: Work) -> None:
    site = make_site()
    run = back_up(site, work)

    def without_dump(record: StoreRecord) -> StoreRecord:
        kept = tuple(a for a in record.artifacts if a.role != "database")
        return replace(record, artifacts=kept)

    sign_anew(site, run, without_dump)
    (result,) = verify_sets(site, ["nightly"], work, accept_rollback=True)
    assert rung(result, Rung.RESTORE).verdict is Verdict.FAILED
    assert "holds no dump" in rung(result, Rung.RESTORE).reason


@pytest.mark.parametrize("kind", ["valkey", "oracle"])
def test_a_set_of_another_kind_of_store_is_no_backup_of_this_one(
    kind: str, make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    sign_anew(site, back_up(site, work), lambda record: replace(record, kind=kind))
    (result,) = verify_sets(site, ["nightly"], work, accept_rollback=True)
    assert rung(result, Rung.EXISTS).verdict is Verdict.FAILED
    assert f"but one of a {kind}" in rung(result, Rung.EXISTS).reason


def test_a_fingerprint_emptied_or_of_another_formula_proves_nothing(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    run = back_up(site, work)
    for changes in ({"items": ()}, {"method": "postgres/0"}):

        def change(record: StoreRecord, changes: dict[str, Any] = changes) -> StoreRecord:
            taken = record.backup.fingerprint
            assert taken is not None
            backup = replace(record.backup, fingerprint=replace(taken, **changes))
            return replace(record, backup=backup)

        sign_anew(site, run, change)
        result = verify_set(site, "nightly", work, accept_rollback=True)
        assert result.verdict is Verdict.INCONCLUSIVE


def test_a_client_tool_that_is_missing_is_inconclusive_and_keeps_no_other_set_from_its_verdict(
    make_site: MakeSite, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(tables='[set.empty]\nstores = ["orders"]\ndestination = "disk"\n')
    back_up(site, work)

    def none(*_: object, **__: object) -> None:
        raise UsageError("there is no pg_restore", hint="install it")

    monkeypatch.setattr("backup_lib.stores.postgres.restorer.client_tools", none)
    results = verify_sets(site, ["nightly", "empty"], work)
    assert [result.verdict for result in results] == [Verdict.INCONCLUSIVE, Verdict.FAILED]
    assert rung(results[0], Rung.RESTORE).reason == "there is no pg_restore"


@pytest.mark.parametrize("obstacle", ["no folder", "no key that is trusted", "no key but a text"])
def test_what_keeps_sets_from_being_read_is_inconclusive(
    obstacle: str, make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    if obstacle == "no folder":
        (site.config.base / "backups").rename(site.config.base / "away")
    else:
        shutil.rmtree(site.config.trusted_keys)
    if obstacle == "no key but a text":
        site.config.trusted_keys.mkdir()
        (site.config.trusted_keys / "x.pub").write_text("ed25519:nonsense")
    (result,) = verify_sets(Site.open(site.config.path), ["nightly"], work)
    assert result.verdict is Verdict.INCONCLUSIVE


# ── clocks ──────────────────────────────────────────────────────────────────────────────────────


def test_a_server_whose_clock_is_ahead_does_not_keep_its_backups_fresh(
    make_site: MakeSite, work: Work
) -> None:
    clock = MovableClock(datetime.now(UTC))
    work = replace(work, clock=clock)
    site = make_site(clock=clock)

    def ahead(record: StoreRecord) -> StoreRecord:
        moment = record.backup.moment + timedelta(hours=20)
        return replace(record, backup=replace(record.backup, moment=moment))

    sign_anew(site, back_up(site, work), ahead)
    clock.move(timedelta(hours=30))
    result = verify_set(site, "nightly", work, depth=Rung.FRESH, accept_rollback=True)
    assert rung(result, Rung.FRESH).verdict is Verdict.FAILED


# ── who is told ─────────────────────────────────────────────────────────────────────────────────


def test_a_clock_that_was_set_back_makes_no_old_backup_fresh(
    make_site: MakeSite, work: Work
) -> None:
    clock = MovableClock(datetime.now(UTC))
    site = make_site(clock=clock)
    work = replace(work, clock=clock)
    back_up(site, work)
    clock.move(timedelta(days=10))
    stale = verify_set(site, "nightly", work, depth=Rung.SIZE)
    assert rung(stale, Rung.FRESH).verdict is Verdict.FAILED
    clock.jump(timedelta(days=-10))
    for _ in range(2):
        result = verify_set(site, "nightly", work, depth=Rung.SIZE)
        assert rung(result, Rung.FRESH).verdict is Verdict.INCONCLUSIVE
        assert "clock of this machine is 10.0 days behind" in rung(result, Rung.FRESH).reason
        assert result.verdict is Verdict.INCONCLUSIVE
    assert verify_set(site, "nightly", work, depth=Rung.EXISTS).verdict is Verdict.INCONCLUSIVE
    accepted = verify_set(site, "nightly", work, depth=Rung.SIZE, accept_rollback=True)
    assert accepted.verdict is Verdict.PASSED
    assert verify_set(site, "nightly", work, depth=Rung.SIZE).verdict is Verdict.PASSED


def test_an_older_set_that_is_good_does_not_end_the_incident_of_the_newest(
    make_site: MakeSite, work: Work, valkey_server: ValkeyServer
) -> None:
    channel = f'[alert.a]\nkind = "valkey"\nurl = "{valkey_server.url}"\nstream = "older"\n'
    site = make_site(tables=channel)
    run = back_up(site, work)
    publish_forged(site, run.manifest, work, Forgery(b"\titem 500\n", b"\titem 5OO\n"))
    (newest,) = verify_sets(site, ["nightly"], work)
    assert rung(newest, Rung.CONTENT).verdict is Verdict.FAILED
    (older,) = verify_sets(site, ["nightly"], work, backup=run.ref.set_id)
    assert older.verdict is Verdict.PASSED
    with valkey_server.client() as client:
        assert client.xlen("older") == 1  # no recovery


@pytest.mark.parametrize("obstacle", ["a channel", "the folder"])
def test_alerts_that_cannot_be_prepared_hide_no_verdict(
    obstacle: str, make_site: MakeSite, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(tables='[alert.pager]\nkind = "apprise"\nurl = { env = "NO_SUCH_PAGER" }\n')
    if obstacle == "a channel":

        def broken(name: str) -> None:
            raise UsageError(f"{name} needs a library that is not installed")

        monkeypatch.setattr(type(site.config), "channel", lambda _self, name: broken(name))
    else:
        (site.config.state / "alerts").write_text("")
    work, warnings = heard(work)
    (result,) = verify_sets(site, ["nightly"], work)
    assert result.verdict is Verdict.FAILED
    assert any('the alert channel "pager" failed' in warned.message for warned in warnings)


# ── in the sandbox ──────────────────────────────────────────────────────────────────────────────


def test_a_trigger_that_writes_down_logins_does_not_spoil_the_copy(
    make_site: MakeSite, work: Work, postgres: PostgresServer
) -> None:
    site = make_site()
    with postgres.connect(database_of(site)) as connection:
        connection.execute(
            """
            CREATE TABLE logins (at timestamptz);
            CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql
                AS 'BEGIN INSERT INTO public.logins VALUES (now()); END';
            CREATE EVENT TRIGGER noted ON login EXECUTE FUNCTION note();
            ALTER EVENT TRIGGER noted ENABLE ALWAYS;
            """
        )
    back_up(site, work)
    assert verify_set(site, "nightly", work).verdict is Verdict.PASSED
