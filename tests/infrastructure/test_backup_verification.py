"""Plain files restored and compared, and the whole way: real servers, injected faults."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_lib import BackupVerifier
from backup_lib.model import Fingerprint, Rung, SetVerification
from backup_lib.services.run import run_backup
from backup_lib.work import Work
from restoreproof.errors import ConfigError, UsageError
from restoreproof.verdict import Verdict
from restoreproof_cli.demo.damage import flip_one_bit
from tests.harness.alert_channels import channel
from tests.harness.plain_backups import ROWS, Dumped
from tests.harness.site import MakeSite
from tests.harness.valkey import ValkeyServer
from tests.harness.verifiers import last

STREAM = "restoreproof:alerts"


def rungs(result: SetVerification) -> dict[Rung, Verdict]:
    (store,) = result.stores
    return {rung.rung: rung.verdict for rung in store.rungs}


# ── restore ─────────────────────────────────────────────────────────────────────────────────────


def test_postgres_restore_test_runs_to_ephemeral(
    dumped: Dumped, verifier: BackupVerifier, tmp_path: Path
) -> None:
    path = dumped.dump(tmp_path / "orders.dump")
    source = dumped.fingerprint()
    assert verifier.restore_test(path, "postgres", expected=source) is True
    assert verifier.row_counts == ROWS
    assert verifier.content is not None
    assert verifier.content.items == source.items
    assert last(verifier).rung is Rung.CONTENT
    assert last(verifier).reason.startswith("exact: ")


@pytest.mark.parametrize("form", ["-Fp", "-Fc", "-Ft", "-Fd", "gzip"])
def test_every_format_of_pg_dump_is_restored_and_equal(
    dumped: Dumped, verifier: BackupVerifier, tmp_path: Path, form: str
) -> None:
    path = tmp_path / '-it\'s "ünï" x'
    path = dumped.dump_gzip(path) if form == "gzip" else dumped.dump(path, form)
    assert verifier.restore_test(path, expected=dumped.fingerprint()), last(verifier)
    assert verifier.row_counts == ROWS


def test_an_archive_compressed_once_more_is_restored(
    dumped: Dumped, verifier: BackupVerifier, tmp_path: Path
) -> None:
    path = dumped.dump(tmp_path / "orders.dump")
    subprocess.run(["gzip", "--", path], check=True)
    assert verifier.restore_test(tmp_path / "orders.dump.gz", "postgres-custom")
    assert "2 tables, 1,007 rows" in last(verifier).reason


def test_restore_succeeds_but_content_differs(
    dumped: Dumped, verifier: BackupVerifier, tmp_path: Path
) -> None:
    source = dumped.fingerprint()
    dumped.execute("update orders set item = 'Item 500' where id = 500")
    path = dumped.dump(tmp_path / "orders.dump")
    assert verifier.restore_test(path, "postgres") is True
    assert verifier.restore_test(path, "postgres", expected=source) is False
    assert (last(verifier).rung, last(verifier).verdict) == (Rung.CONTENT, Verdict.FAILED)
    assert "public.orders" in last(verifier).reason
    assert verifier.row_counts == ROWS  # which only counting would have missed


def test_a_copy_without_one_row_proves_nothing(
    dumped: Dumped, verifier: BackupVerifier, tmp_path: Path
) -> None:
    path = dumped.dump(tmp_path / "schema.dump", "-Fc", "--schema-only")
    assert verifier.restore_test(path) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE
    assert "2 tables, 0 rows" in last(verifier).reason
    dumped.execute('truncate orders, "Ünï ""q"" -x"')
    assert verifier.restore_test(path, expected=dumped.fingerprint()), last(verifier)


def test_sql_that_no_dump_made_is_still_restored(verifier: BackupVerifier, tmp_path: Path) -> None:
    path = tmp_path / "own.sql"
    path.write_text("create table t as select 1 as n;")
    verifier.verify_all({"own": path})
    assert rungs(verifier.results[0]) == {
        Rung.EXISTS: Verdict.PASSED,
        Rung.SIZE: Verdict.PASSED,
        Rung.INTEGRITY: Verdict.INCONCLUSIVE,
        Rung.RESTORE: Verdict.PASSED,
    }
    path.write_text("-- nothing\n")
    assert verifier.restore_test(path) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_dump_is_failed_at_restore(
    dumped: Dumped, verifier: BackupVerifier, tmp_path: Path, share: float
) -> None:
    for path in (dumped.dump(tmp_path / "a.dump"), dumped.dump_gzip(tmp_path / "a.sql.gz")):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        assert verifier.restore_test(path, "postgres") is False
        assert last(verifier).verdict is Verdict.FAILED, path
        assert verifier.row_counts == {}


def test_a_command_for_psql_is_not_executed(verifier: BackupVerifier, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "hostile.sql"
    path.write_text(f"create table t as select 1 as n;\n\\! touch {mark}\n")
    assert verifier.restore_test(path) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE
    assert not mark.exists()


def test_a_kind_that_cannot_be_restored_is_inconclusive_and_says_what_can_be_asked(
    verifier: BackupVerifier, tmp_path: Path
) -> None:
    path = tmp_path / "export.json"
    path.write_text('{"n": 1}\n')
    assert verifier.restore_test(path) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE
    assert "integrity" in last(verifier).hint
    assert verifier.verify_all({"path": path}) == {"export.json": False}
    assert verifier.verify_all({"path": path}, depth="integrity") == {"export.json": True}
    assert verifier.verify_all({"path": path, "depth": "integrity"}) == {"export.json": True}


# ── alerts ──────────────────────────────────────────────────────────────────────────────────────


def test_alert_called_on_verification_failure(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    dashboard = channel("valkey", url=valkey_server.unix_url)
    verifier = BackupVerifier(channels={"dashboard": dashboard}, state=tmp_path / "state")
    missing = tmp_path / "orders.dump"
    assert verifier.verify_all({"orders": {"path": missing}}) == {"orders": False}
    with valkey_server.client() as client:
        entries = [fields for _, fields in client.xrange(STREAM)]
    assert len(entries) == 1  # the rungs above are no failures of their own
    told = entries[0]
    assert (told["set"], told["rung"], told["verdict"]) == ("orders", "exists", "failed")
    assert str(missing) in told["reason"]
    assert told["hint"]

    verifier.verify_all({"orders": {"path": missing}})
    missing.write_text('{"n": 1}\n')
    assert verifier.verify_all({"orders": {"path": missing, "type": "json"}}, depth="integrity")
    with valkey_server.client() as client:
        entries = [fields for _, fields in client.xrange(STREAM)]
    assert [entry["recovered"] for entry in entries] == ["0", "1"]  # told once, and its end


# ── verify_all ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({}, "nothing to verify"),
        ({"orders": {}}, "path is missing"),
        ({"orders": 7}, "should be a path"),
        ({"orders": {"path": "x", "max_age": 3}}, '"max_age" is not a known key'),
        ({"path": "x", "type": "postgers"}, 'no type of backup "postgers"'),
        ({"path": "x", "max_age_hours": -1}, "limit"),
        ({"path": "x", "min_bytes": "1 MB"}, "bytes"),
        ({"path": "x", "depth": "deep"}, 'no rung "deep"'),
        ({"path": "x", "expected": "abc"}, "fingerprint"),
    ],
)
def test_a_wrong_mapping_is_a_usage_error_and_never_a_vacuous_pass(
    entries: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        BackupVerifier(channels={}).verify_all(entries)
    assert told in caught.value.message
    assert caught.value.hint


def test_a_wrong_configuration_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTOREPROOF_CONFIG", raising=False)
    with pytest.raises(UsageError, match="nothing to verify"):
        BackupVerifier().verify_all()
    path = tmp_path / "other.toml"
    with pytest.raises(ConfigError):
        BackupVerifier().verify_all(path)
    path.write_text("[set.nightly]\nstores = []\n")
    with pytest.raises(ConfigError):
        BackupVerifier().verify_all(path)
    path.write_text("")
    with pytest.raises(UsageError, match="configures no set"):
        BackupVerifier().verify_all(path)


def test_one_bad_backup_does_not_keep_others_from_being_judged(
    dumped: Dumped, verifier: BackupVerifier, tmp_path: Path
) -> None:
    good = dumped.dump(tmp_path / "good.dump")
    (tmp_path / "bad.sql.gz").write_bytes(b"\x1f\x8b\x08\x00 and then nothing")
    entries = {
        "bad": {"path": tmp_path / "bad.sql.gz", "type": "postgres"},
        "missing": tmp_path / "missing.dump",
        "good": {"path": good, "max_age_hours": 1, "min_bytes": 100, "type": "postgres"},
    }
    assert verifier.verify_all(entries) == {"bad": False, "missing": False, "good": True}
    assert (last(verifier).rung, last(verifier).verdict) == (Rung.INTEGRITY, Verdict.FAILED)
    assert [result.set_name for result in verifier.results] == list(entries)


def test_a_stale_file_is_still_restored(
    dumped: Dumped, verifier: BackupVerifier, tmp_path: Path
) -> None:
    path = dumped.dump(tmp_path / "orders.dump")
    then = datetime.now(UTC).timestamp() - 90_000
    os.utime(path, (then, then))
    assert verifier.verify_all({"orders": {"path": path, "max_age_hours": 24}}) == {"orders": False}
    seen = rungs(verifier.results[0])
    assert seen.pop(Rung.FRESH) is Verdict.FAILED
    assert set(seen.values()) == {Verdict.PASSED}


def test_full_verification_pipeline(
    make_site: MakeSite,
    dumped: Dumped,
    valkey_server: ValkeyServer,
    tmp_path: Path,
) -> None:
    """A plain dump and a set: taken, proven on every rung, damaged, found, told, and mended."""
    tables = f'[alert.dashboard]\nkind = "valkey"\nurl = "{valkey_server.unix_url}"\n'
    site = make_site(
        tables=tables, store_options='assertions = ["select count(*) > 0 from orders"]'
    )
    run = run_backup(site, "nightly", Work(scratch=tmp_path))
    source: Fingerprint = dumped.fingerprint()
    plain = dumped.dump(tmp_path / "plain.dump")
    entries = {
        "plain": {
            "path": plain,
            "type": "postgres",
            "max_age_hours": 1,
            "min_bytes": 100,
            "expected": source,
        }
    }
    verifier = BackupVerifier(site.config.path)

    assert verifier.verify_all() == {"nightly/orders": True}
    assert rungs(verifier.results[0]) == dict.fromkeys(Rung, Verdict.PASSED)
    assert verifier.verify_all(entries) == {"plain": True}
    expected = [rung for rung in Rung if rung is not Rung.ASSERTIONS]
    assert rungs(verifier.results[0]) == dict.fromkeys(expected, Verdict.PASSED)
    assert told(valkey_server) == []

    artifact = next(a for a in run.manifest.stores[0].artifacts if a.role == "database")
    stored = site.config.base / "backups" / "nightly" / run.ref.set_id / artifact.name
    whole = plain.read_bytes()
    flip_one_bit(stored)
    plain.write_bytes(whole[: len(whole) // 2])
    assert verifier.verify_all(site.config.path) == {"nightly/orders": False}
    assert last(verifier).rung is Rung.INTEGRITY
    assert verifier.verify_all(entries) == {"plain": False}
    assert last(verifier).verdict is Verdict.FAILED
    assert told(valkey_server) == [
        ("nightly", "orders", "integrity", "failed"),
        ("plain", "", "integrity", "failed"),
    ]

    flip_one_bit(stored)
    plain.write_bytes(whole)
    assert verifier.verify_all(site.config) == {"nightly/orders": True}
    assert verifier.verify_all(entries) == {"plain": True}
    assert told(valkey_server)[2:] == [
        ("nightly", "orders", "integrity", "passed"),
        ("plain", "", "integrity", "passed"),
    ]


def told(server: ValkeyServer) -> list[tuple[str, ...]]:
    with server.client() as client:
        entries = [fields for _, fields in client.xrange(STREAM)]
    return [tuple(one[key] for key in ("set", "store", "rung", "verdict")) for one in entries]
