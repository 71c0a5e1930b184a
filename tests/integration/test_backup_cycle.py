"""The main job through the services: run, verify, restore, on a real server; then each fault."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from backup_lib.format.sets import sign_manifest
from backup_lib.model import Fingerprint, Rung, SetVerification
from backup_lib.services.keys import make_key
from backup_lib.services.restore import RestoreRequest, restore_set
from backup_lib.services.run import BackupRun, run_backup
from backup_lib.services.site import Site
from backup_lib.services.verify import verify_set
from backup_lib.stores.base import RestoreOptions
from backup_lib.work import Work
from restoreproof.clock import MovableClock
from restoreproof.errors import Inconclusive, JudgedBad, Refused, Unreachable, UsageError
from restoreproof.events import Event, StepStarted, Warned
from restoreproof.signing import SigningKey
from restoreproof.verdict import Verdict
from restoreproof_cli.demo.damage import Forgery, publish_forged
from tests.harness.postgres import PostgresServer
from tests.harness.site import MakeSite, database_of

METHOD = "backup_lib.stores.postgres.content.fingerprint.METHOD"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Work(scratch=scratch)


def back_up(site: Site, work: Work) -> BackupRun:
    return run_backup(site, "nightly", work)


def databases_of(server: PostgresServer) -> set[str]:
    with server.connect() as connection:
        return {name for (name,) in connection.execute("select datname from pg_database")}


def verdicts(result: SetVerification) -> dict[Rung, Verdict]:
    (store,) = result.stores
    return {rung.rung: rung.verdict for rung in store.rungs}


def reason(result: SetVerification, rung: Rung) -> str:
    (store,) = result.stores
    return next(r.reason for r in store.rungs if r.rung is rung)


def artifact_path(site: Site, run: BackupRun, role: str = "database") -> Path:
    artifact = next(a for a in run.manifest.stores[0].artifacts if a.role == role)
    return site.config.base / "backups" / "nightly" / run.ref.set_id / artifact.name


def test_a_good_backup_is_proven_equal_to_its_source(make_site: MakeSite, work: Work) -> None:
    site = make_site(store_options='assertions = ["select count(*) = 1000 from orders"]')
    run = back_up(site, work)
    assert run.manifest.sequence == 1
    result = verify_set(site, "nightly", work)
    assert verdicts(result) == dict.fromkeys(Rung, Verdict.PASSED)
    (store,) = result.stores
    assert store.comparison is not None
    assert store.comparison.level == "exact"
    assert not store.comparison.differences
    assert list(work.scratch.iterdir()) == []


def test_a_manifest_that_could_not_be_read_back_is_not_published(
    make_site: MakeSite, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    first = back_up(site, work)
    with monkeypatch.context() as patch:
        patch.setattr("restoreproof.signing.dsse.MAX_ENVELOPE", 3000)
        patch.setattr("backup_lib.stores.postgres.source.refuse_too_many", lambda *_: None)
        with pytest.raises(Refused, match=r"no more than .* MiB can be read back") as caught:
            back_up(site, work)
    assert "fingerprint = false" in caught.value.hint
    folder = site.config.base / "backups" / "nightly"
    assert [found.name for found in folder.iterdir()] == [first.ref.set_id]
    assert verify_set(site, "nightly", work).verdict is Verdict.PASSED


def test_what_was_proven_is_remembered_until_it_is_asked_for_again(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    first = verify_set(site, "nightly", work)
    second = verify_set(site, "nightly", work)
    third = verify_set(site, "nightly", work, again=True)
    remembered = [
        [r.remembered is not None for r in result.stores[0].rungs if r.rung.height >= 4]
        for result in (first, second, third)
    ]
    assert remembered == [[False, False], [True, True], [False, False]]
    assert second.verdict is Verdict.PASSED


def test_one_row_altered_with_every_checksum_repaired_is_found_at_content(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    run = back_up(site, work)
    forgery = Forgery(before=b"\titem 500\n", after=b"\titem 5OO\n")
    forged = publish_forged(site, run.manifest, work, forgery)
    result = verify_set(site, "nightly", work)
    assert result.set_id == forged.set_id
    seen = verdicts(result)
    assert seen.pop(Rung.CONTENT) is Verdict.FAILED
    assert set(seen.values()) == {Verdict.PASSED}
    assert "orders" in reason(result, Rung.CONTENT)


def test_a_flipped_bit_is_found_at_integrity_and_nothing_above_is_tried(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    path = artifact_path(site, back_up(site, work))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = verify_set(site, "nightly", work)
    assert verdicts(result)[Rung.INTEGRITY] is Verdict.FAILED
    assert [r.reached for r in result.stores[0].rungs if r.rung.height > 3] == [False, False]


def test_a_missing_artifact_is_found_at_exists(make_site: MakeSite, work: Work) -> None:
    site = make_site()
    artifact_path(site, back_up(site, work)).unlink()
    result = verify_set(site, "nightly", work)
    assert verdicts(result)[Rung.EXISTS] is Verdict.FAILED
    assert result.verdict is Verdict.FAILED


def test_a_cut_artifact_is_found_at_size(make_site: MakeSite, work: Work) -> None:
    site = make_site()
    path = artifact_path(site, back_up(site, work))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    assert verdicts(verify_set(site, "nightly", work))[Rung.SIZE] is Verdict.FAILED


def test_no_backup_at_all_fails(make_site: MakeSite, work: Work) -> None:
    site = make_site()
    result = verify_set(site, "nightly", work)
    assert result.verdict is Verdict.FAILED
    assert "there is no backup" in reason(result, Rung.EXISTS)


def test_a_stale_backup_fails_and_is_proven_all_the_same(make_site: MakeSite, work: Work) -> None:
    clock = MovableClock(datetime.now(UTC))
    site = make_site(clock=clock)
    work = replace(work, clock=clock)
    back_up(site, work)
    clock.move(timedelta(hours=25))
    seen = verdicts(verify_set(site, "nightly", work))
    assert seen.pop(Rung.FRESH) is Verdict.FAILED
    assert set(seen.values()) == {Verdict.PASSED}


def test_a_named_backup_is_proven_whatever_its_age(make_site: MakeSite, work: Work) -> None:
    clock = MovableClock(datetime.now(UTC))
    site = make_site(clock=clock)
    work = replace(work, clock=clock)
    run = back_up(site, work)
    clock.move(timedelta(days=3))
    named = verify_set(site, "nightly", work, backup=run.ref.set_id)
    assert named.verdict is Verdict.PASSED
    assert reason(named, Rung.FRESH).startswith("3.0 days old")
    assert verify_set(site, "nightly", work).verdict is Verdict.FAILED
    with pytest.raises(UsageError, match="is empty"):
        verify_set(site, "nightly", work, backup="")


def test_a_backup_from_the_future_is_not_judged_fresh(make_site: MakeSite, work: Work) -> None:
    clock = MovableClock(datetime.now(UTC))
    site = make_site(clock=clock)
    back_up(site, replace(work, clock=clock))
    clock.jump(timedelta(hours=-3))
    seen = verdicts(verify_set(site, "nightly", replace(work, clock=clock)))
    assert seen[Rung.FRESH] is Verdict.INCONCLUSIVE


def test_of_several_backups_the_newest_complete_one_is_verified(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    second = back_up(site, work)
    third = back_up(site, work)
    manifest = next((artifact_path(site, third).parents[1]).glob("manifest*"))
    manifest.unlink()
    result = verify_set(site, "nightly", work)
    assert result.set_id == second.ref.set_id
    # it was published from here, so that its manifest is missed
    assert "newer sets are gone" in reason(result, Rung.EXISTS)
    accepted = verify_set(site, "nightly", work, accept_rollback=True)
    assert (accepted.set_id, accepted.verdict) == (second.ref.set_id, Verdict.PASSED)


def test_file_times_and_names_do_not_choose(make_site: MakeSite, work: Work) -> None:
    import os

    site = make_site()
    first = back_up(site, work)
    second = back_up(site, work)
    far = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
    for path in artifact_path(site, first).parents[1].rglob("*"):
        os.utime(path, (far, far))
    assert verify_set(site, "nightly", work).set_id == second.ref.set_id


def test_a_damaged_manifest_is_found_at_integrity_however_shallow_the_look(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    second = back_up(site, work)
    manifest = next((artifact_path(site, second).parents[1]).glob("manifest*"))
    manifest.write_bytes(manifest.read_bytes().replace(b"A", b"B", 1))
    result = verify_set(site, "nightly", work)
    assert verdicts(result)[Rung.INTEGRITY] is Verdict.FAILED
    assert second.ref.set_id in reason(result, Rung.INTEGRITY)
    shallow = verify_set(site, "nightly", work, depth=Rung.EXISTS)
    assert shallow.verdict is Verdict.FAILED


def test_removed_newer_sets_are_noticed_and_may_be_accepted(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    second = back_up(site, work)
    (site.config.state / "verified.json").unlink()  # as on another machine than that of the run
    first_look = verify_set(site, "nightly", work, depth=Rung.SIZE)
    assert any("cannot tell" in note for note in first_look.notes)
    shutil.rmtree(artifact_path(site, second).parents[1])
    gone = verify_set(site, "nightly", work, depth=Rung.SIZE)
    assert verdicts(gone)[Rung.EXISTS] is Verdict.FAILED
    assert "newer sets are gone" in reason(gone, Rung.EXISTS)
    accepted = verify_set(site, "nightly", work, depth=Rung.SIZE, accept_rollback=True)
    assert accepted.verdict is Verdict.PASSED
    assert verify_set(site, "nightly", work, depth=Rung.SIZE).verdict is Verdict.PASSED


def test_a_set_signed_by_a_stranger_is_not_believed(make_site: MakeSite, work: Work) -> None:
    site = make_site()
    run = back_up(site, work)
    manifest = next((artifact_path(site, run).parents[1]).glob("manifest*"))
    manifest.write_bytes(sign_manifest(run.manifest, SigningKey.generate()))
    result = verify_set(site, "nightly", work)
    assert verdicts(result)[Rung.INTEGRITY] is Verdict.FAILED
    assert "not trusted" in reason(result, Rung.INTEGRITY)


def test_a_damaged_memory_keeps_nobody_from_a_backup(make_site: MakeSite, work: Work) -> None:
    site = make_site()
    back_up(site, work)
    (site.config.state / "verified.json").write_text('{"broken')
    told: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Warned):
            told.append(event.message)

    run = back_up(site, replace(work, emit=hear))
    assert run.manifest.sequence == 2
    assert any("sequence goes by the destination" in message for message in told)


def test_the_sequence_goes_on_by_what_the_own_key_signed_and_never_begins_anew(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    back_up(site, work)
    (site.config.state / "verified.json").unlink()
    (public,) = site.config.trusted_keys.iterdir()
    kept = public.read_bytes()
    public.unlink()  # a machine that was built anew: only the private key was kept
    warned: list[Event] = []
    run = back_up(Site.open(site.config.path), replace(work, emit=warned.append))
    assert run.manifest.sequence == 3
    assert any("not trusted here" in e.message for e in warned if isinstance(e, Warned))

    site.config.signing_key.unlink()  # and now that is gone too
    shutil.rmtree(site.config.trusted_keys)
    (site.config.state / "verified.json").unlink()
    make_key(Site.open(site.config.path))
    stranger = Site.open(site.config.path)
    there = set(site.destination("disk").sets())
    with pytest.raises(Refused, match="3 sets of nightly cannot be read") as refused:
        back_up(stranger, work)
    assert "--trust" in refused.value.hint
    assert set(site.destination("disk").sets()) == there
    public.write_bytes(kept)
    assert back_up(Site.open(site.config.path), work).manifest.sequence == 4


def test_a_damaged_set_among_others_is_told_and_does_not_stop_the_next(
    make_site: MakeSite, work: Work
) -> None:
    site = make_site()
    back_up(site, work)
    second = back_up(site, work)
    next((artifact_path(site, second).parents[1]).glob("manifest*")).write_bytes(b"{}")
    warned: list[Event] = []
    run = back_up(site, replace(work, emit=warned.append))
    assert run.manifest.sequence == 3
    (told,) = [e for e in warned if isinstance(e, Warned) and "cannot be read" in e.message]
    assert told.details == (second.ref.set_id,)


def test_a_restore_brings_the_content_back_and_proves_it(
    make_site: MakeSite, work: Work, postgres: PostgresServer
) -> None:
    site = make_site()
    back_up(site, work)
    name = f"{database_of(site)}_restored"
    outcome = restore_set(
        site, RestoreRequest("nightly", options=RestoreOptions(database=name)), work
    )
    try:
        assert outcome.content is not None
        assert outcome.content.verdict is Verdict.PASSED
        with postgres.connect(name) as connection:
            row = connection.execute("select count(*), max(item) from orders").fetchone()
        assert row == (1000, "item 999")
    finally:
        postgres.drop_database(name)


def test_no_two_steps_of_a_run_are_called_the_same(make_site: MakeSite, work: Work) -> None:
    site = make_site(rows=1)
    told: list[Event] = []
    back_up(site, replace(work, emit=told.append))
    titles = [event.title for event in told if isinstance(event, StepStarted)]
    assert len(set(titles)) == len(titles) > 4


def test_what_a_restore_notes_stands_in_its_report_and_only_there(
    make_site: MakeSite, work: Work, postgres: PostgresServer
) -> None:
    site = make_site(rows=1)
    name = database_of(site)
    with postgres.connect(name) as connection:
        connection.execute(f"alter database {name} set work_mem = '5MB'")
    back_up(site, work)
    told: list[Event] = []
    beside = RestoreRequest("nightly", options=RestoreOptions(database=f"{name}_beside"))
    outcome = restore_set(site, beside, replace(work, emit=told.append))
    postgres.drop_database(f"{name}_beside")
    begun = [event.step for event in told if isinstance(event, StepStarted)]
    assert len(set(begun)) == len(begun)  # one within another of that name would end it, too
    (note,) = outcome.restored.notes
    assert "work_mem" in note
    assert not [event for event in told if isinstance(event, Warned)]


def test_what_a_restore_notes_is_told_where_no_report_comes_of_it(
    make_site: MakeSite, work: Work, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(rows=1, tables='[store.spare]\nkind = "postgres"\ndsn = { file = "spare" }')
    back_up(site, work)
    empty = f"{database_of(site)}_empty"
    postgres.create_database(empty)
    dsn = make_conninfo((site.config.base / "orders.dsn").read_text(), dbname=empty, user="lodger")
    (site.config.base / "spare").write_text(dsn)
    (site.config.base / "spare").chmod(0o600)
    with postgres.connect() as connection:
        connection.execute("create role lodger login")
        connection.execute(f"alter database {empty} owner to lodger")

    def away(*_: object) -> Fingerprint:
        raise Unreachable("the server is away")

    monkeypatch.setattr("backup_lib.stores.postgres.restorer.PostgresRestorer.fingerprint", away)
    told: list[Event] = []
    with pytest.raises(Unreachable):
        restore_set(site, RestoreRequest("nightly", into="spare"), replace(work, emit=told.append))
    postgres.drop_database(empty)
    with postgres.connect() as connection:
        connection.execute("drop role lodger")
    assert [e.message for e in told if isinstance(e, Warned)] == [
        "owners and grants were not restored: no superuser"
    ]


def test_a_restore_never_overwrites_unasked_and_a_bad_backup_leaves_the_target_as_it_was(
    make_site: MakeSite, work: Work, postgres: PostgresServer
) -> None:
    site = make_site()
    run = back_up(site, work)
    name = database_of(site)
    with postgres.connect(name) as connection:
        connection.execute("update orders set item = 'newer'")
    with pytest.raises(Refused):
        restore_set(site, RestoreRequest("nightly"), work)
    overwrite = RestoreRequest("nightly", options=RestoreOptions(overwrite=True))
    with pytest.raises(Refused, match="not confirmed"):
        restore_set(site, overwrite, work)
    path = artifact_path(site, run)
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(JudgedBad):
        restore_set(site, replace(overwrite, confirm=name), work)
    with postgres.connect(name) as connection:
        assert connection.execute("select distinct item from orders").fetchall() == [("newer",)]
    path.write_bytes(good)
    restore_set(site, replace(overwrite, confirm=name), work)
    with postgres.connect(name) as connection:
        assert connection.execute("select count(distinct item) from orders").fetchone() == (1000,)


def test_content_that_is_not_what_was_backed_up_replaces_nothing(
    make_site: MakeSite, work: Work, postgres: PostgresServer
) -> None:
    site = make_site()
    run = back_up(site, work)
    publish_forged(site, run.manifest, work, Forgery(b"\titem 500\n", b"\titem 5OO\n"))
    name = database_of(site)
    with postgres.connect(name) as connection:
        connection.execute("update orders set item = 'newer'")
    before = databases_of(postgres)
    overwrite = RestoreRequest("nightly", options=RestoreOptions(overwrite=True), confirm=name)
    with pytest.raises(JudgedBad, match=f"{name} was not replaced: .* table public.orders"):
        restore_set(site, overwrite, work)
    with postgres.connect(name) as connection:
        assert connection.execute("select distinct item from orders").fetchall() == [("newer",)]
    assert databases_of(postgres) == before
    # beside it, it is there to be looked at, and told to be wrong
    beside = RestoreRequest("nightly", options=RestoreOptions(database=f"{name}_beside"))
    outcome = restore_set(site, beside, work)
    postgres.databases.append(f"{name}_beside")
    assert outcome.content is not None
    assert outcome.content.verdict is Verdict.FAILED
    assert databases_of(postgres) == {*before, f"{name}_beside"}


def test_content_that_cannot_be_compared_replaces_nothing(
    make_site: MakeSite, work: Work, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    monkeypatch.setattr(METHOD, "postgres/of-tomorrow")
    back_up(site, work)
    name = database_of(site)
    with postgres.connect(name) as connection:
        connection.execute("update orders set item = 'newer'")
    overwrite = RestoreRequest("nightly", options=RestoreOptions(overwrite=True), confirm=name)
    with pytest.raises(Inconclusive, match=f"{name} was not replaced: .*unknown here"):
        restore_set(site, overwrite, work)
    with postgres.connect(name) as connection:
        assert connection.execute("select distinct item from orders").fetchall() == [("newer",)]
    beside = RestoreRequest("nightly", options=RestoreOptions(database=f"{name}_beside"))
    outcome = restore_set(site, beside, work)
    postgres.databases.append(f"{name}_beside")
    assert outcome.content is not None
    assert outcome.content.verdict is Verdict.INCONCLUSIVE


def test_an_unknown_set_backup_or_store_is_a_usage_error(make_site: MakeSite, work: Work) -> None:
    site = make_site()
    back_up(site, work)
    with pytest.raises(UsageError, match="nihgtly"):
        verify_set(site, "nihgtly", work)
    with pytest.raises(UsageError, match="1999"):
        verify_set(site, "nightly", work, backup="1999")
    with pytest.raises(UsageError, match="no store"):
        restore_set(site, RestoreRequest("nightly", store="sessions"), work)
