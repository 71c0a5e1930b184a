"""The lower rungs on plain files: is it there, young, large and whole enough?"""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_lib import BackupVerifier
from backup_lib.model import Rung
from backup_lib.stores.postgres import archive_head
from restoreproof.clock import MovableClock
from restoreproof.errors import UsageError
from restoreproof.verdict import Verdict
from tests.harness.plain_backups import Dumped
from tests.harness.verifiers import last

SQL = (
    b"--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n"
    b"CREATE TABLE t (n int);\n--\n-- PostgreSQL database dump complete\n--\n\n"
)
AWKWARD = (
    'it\'s "quoted".sql',
    "with space.sql",
    "ünïcødé-備份.sql",
    "-leading-dash.sql",
    "$(x).sql",
)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    path = tmp_path / "backup.sql"
    path.write_bytes(SQL)
    return path


@pytest.fixture
def verifier() -> BackupVerifier:
    return BackupVerifier()


def aged(path: Path, hours: float) -> Path:
    then = datetime.now(UTC).timestamp() - hours * 3600
    os.utime(path, (then, then))
    return path


# ── exists ──────────────────────────────────────────────────────────────────────────────────────


def test_check_backup_exists_returns_true_for_existing_file(backup: Path) -> None:
    verifier = BackupVerifier()
    assert verifier.check_exists(backup) is True
    assert verifier.check_exists(str(backup)) is True
    assert (last(verifier).rung, last(verifier).verdict) == (Rung.EXISTS, Verdict.PASSED)


def test_check_backup_exists_returns_false_for_missing_file(tmp_path: Path) -> None:
    verifier = BackupVerifier()
    assert verifier.check_exists(tmp_path / "nothing.sql") is False
    assert last(verifier).verdict is Verdict.FAILED
    assert "nothing.sql" in last(verifier).reason
    assert last(verifier).hint


def test_missing_file_is_failed_at_exists_whatever_was_asked(
    tmp_path: Path, verifier: BackupVerifier
) -> None:
    missing = tmp_path / "nothing.dump"
    dangling = tmp_path / "dangling"
    dangling.symlink_to(missing)
    for path in (missing, dangling, tmp_path / "no" / "folder" / "x.sql"):
        for answer in (
            verifier.check_freshness(path, 1),
            verifier.validate_size(path, 1),
            verifier.validate_integrity(path),
            verifier.restore_test(path, "postgres"),
        ):
            assert answer is False
            assert (last(verifier).rung, last(verifier).verdict) == (Rung.EXISTS, Verdict.FAILED)


def test_what_cannot_be_read_is_inconclusive(tmp_path: Path, verifier: BackupVerifier) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    too_long = tmp_path / ("x" * 300)
    pipe = tmp_path / "pipe.sql"
    os.mkfifo(pipe)
    for path in (loop, too_long, pipe):
        for answer in (verifier.check_exists(path), verifier.validate_integrity(path)):
            assert answer is False
            assert last(verifier).verdict is Verdict.INCONCLUSIVE, path
            assert last(verifier).hint


@pytest.mark.parametrize("path", ["", "a\0b", None, 7])
def test_what_is_no_path_is_a_usage_error(path: object, verifier: BackupVerifier) -> None:
    with pytest.raises(UsageError):
        verifier.check_exists(path)  # type: ignore[arg-type]  # that is the point


# ── fresh ───────────────────────────────────────────────────────────────────────────────────────


def test_check_backup_freshness_passes_for_recent_backup(backup: Path) -> None:
    verifier = BackupVerifier()
    assert verifier.check_freshness(aged(backup, 1), max_age_hours=24) is True
    assert last(verifier).rung is Rung.FRESH


def test_check_backup_freshness_fails_for_stale_backup(backup: Path) -> None:
    verifier = BackupVerifier()
    assert verifier.check_freshness(aged(backup, 25), max_age_hours=24) is False
    assert last(verifier).verdict is Verdict.FAILED
    assert "25 h" in last(verifier).reason


def test_the_age_is_counted_by_the_clock_that_was_given(backup: Path) -> None:
    clock = MovableClock(datetime.now(UTC))
    verifier = BackupVerifier(clock=clock)
    assert verifier.check_freshness(backup, 24)
    clock.move(timedelta(hours=24, minutes=5))
    assert not verifier.check_freshness(backup, 24)


def test_a_file_from_the_future_is_not_fresh(backup: Path, verifier: BackupVerifier) -> None:
    assert verifier.check_freshness(aged(backup, -3), 24) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE


def test_the_newest_file_in_a_folder_counts(tmp_path: Path, verifier: BackupVerifier) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    (folder / "toc.dat").write_bytes(b"PGDMP")
    aged(folder / "toc.dat", 50)
    (folder / "1.dat").write_bytes(b"x")
    aged(folder / "1.dat", 3)
    aged(folder, 0)
    assert verifier.check_freshness(folder, 4)
    assert not verifier.check_freshness(folder, 2)


@pytest.mark.parametrize("hours", [-1, float("nan"), float("inf"), 1e12, "24", True, None])
def test_a_limit_that_is_none_is_a_usage_error(hours: object, backup: Path) -> None:
    with pytest.raises(UsageError, match="limit"):
        BackupVerifier().check_freshness(backup, hours)  # type: ignore[arg-type]  # the point


def test_a_copy_of_an_old_archive_is_as_old_as_it_says(
    dumped: Dumped, tmp_path: Path, verifier: BackupVerifier
) -> None:
    path = dumped.dump(tmp_path / "orders.dump")
    assert verifier.check_freshness(path, 24)
    path.write_bytes(dated(path.read_bytes(), datetime.now(UTC) - timedelta(days=9)))
    assert verifier.check_freshness(path, 24) is False
    assert "8.5 days" in last(verifier).reason  # at least, in every time zone
    assert "copied" in last(verifier).hint
    assert verifier.check_freshness(path, 24 * 9)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert verifier.check_freshness(path, 24) is False


# ── size ────────────────────────────────────────────────────────────────────────────────────────


def test_validate_backup_size_passes_for_nonzero(backup: Path) -> None:
    verifier = BackupVerifier()
    assert verifier.validate_size(backup, min_bytes=1) is True
    assert verifier.validate_size(backup, min_bytes=len(SQL)) is True
    assert last(verifier).rung is Rung.SIZE


def test_validate_backup_size_fails_for_empty(tmp_path: Path) -> None:
    empty = tmp_path / "backup.sql"
    empty.touch()
    verifier = BackupVerifier()
    assert verifier.validate_size(empty, min_bytes=1) is False
    assert verifier.validate_size(empty, min_bytes=0) is False
    assert last(verifier).verdict is Verdict.FAILED


def test_zero_bytes_are_failed_on_every_rung_that_looks_inside(
    tmp_path: Path, verifier: BackupVerifier
) -> None:
    empty = tmp_path / "backup.dump"
    empty.touch()
    assert verifier.validate_integrity(empty) is False
    assert last(verifier).verdict is Verdict.FAILED
    assert verifier.restore_test(empty) is False
    assert last(verifier).verdict is Verdict.FAILED


def test_a_file_below_the_limit_is_too_small(backup: Path, verifier: BackupVerifier) -> None:
    assert verifier.validate_size(backup, len(SQL) + 1) is False
    assert str(len(SQL)) in last(verifier).reason


@pytest.mark.parametrize("count", [-1, 1.5, "1", True, None])
def test_a_size_that_is_none_is_a_usage_error(count: object, backup: Path) -> None:
    with pytest.raises(UsageError, match="bytes"):
        BackupVerifier().validate_size(backup, count)  # type: ignore[arg-type]  # the point


# ── integrity ───────────────────────────────────────────────────────────────────────────────────


def test_validate_backup_integrity_passes_for_valid_gzip(tmp_path: Path) -> None:
    path = tmp_path / "backup.sql.gz"
    path.write_bytes(gzip.compress(SQL))
    verifier = BackupVerifier()
    for backup_type in ("postgres", "postgres-sql", None):
        assert verifier.validate_integrity(path, backup_type) is True
    assert last(verifier).rung is Rung.INTEGRITY


@pytest.mark.parametrize("where", [0, 20, -9, -1])
def test_validate_backup_integrity_fails_for_corrupted(tmp_path: Path, where: int) -> None:
    path = tmp_path / "backup.sql.gz"
    damaged = bytearray(gzip.compress(SQL))
    damaged[where] ^= 0x10
    path.write_bytes(damaged)
    verifier = BackupVerifier()
    assert verifier.validate_integrity(path, "postgres-sql") is False
    assert last(verifier).verdict is Verdict.FAILED
    assert last(verifier).hint


def test_a_cut_file_is_failed_wherever_the_cut_is(tmp_path: Path, verifier: BackupVerifier) -> None:
    path = tmp_path / "backup.sql.gz"
    whole = gzip.compress(SQL)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert verifier.validate_integrity(path, "postgres-sql") is False
        assert last(verifier).verdict is Verdict.FAILED, length


def test_a_file_of_another_store_is_failed(tmp_path: Path, verifier: BackupVerifier) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(b"REDIS0011\xff" + bytes(8))
    for answer in (
        verifier.validate_integrity(path, "postgres"),
        verifier.restore_test(path, "postgres"),
    ):
        assert answer is False
        assert last(verifier).verdict is Verdict.FAILED
        assert "valkey-rdb" in last(verifier).reason


def test_a_store_that_cannot_be_told_is_inconclusive(
    tmp_path: Path, verifier: BackupVerifier
) -> None:
    path = tmp_path / "something.gz"
    path.write_bytes(gzip.compress(b"something"))
    assert verifier.validate_integrity(path, "postgres") is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE
    assert "postgres-sql" in last(verifier).hint


def test_an_unknown_type_is_a_usage_error_with_a_suggestion(
    backup: Path, verifier: BackupVerifier
) -> None:
    with pytest.raises(UsageError) as caught:
        verifier.validate_integrity(backup, "postgers")
    assert 'did you mean "postgres"?' in caught.value.hint
    for word in ("unknown", "", 7):
        with pytest.raises(UsageError):
            verifier.restore_test(backup, word)  # type: ignore[arg-type]  # that is the point


# ── names, and several candidates ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", AWKWARD)
def test_names_with_quotes_spaces_unicode_and_a_leading_dash(
    name: str, tmp_path: Path, verifier: BackupVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(SQL)
    monkeypatch.chdir(tmp_path)
    for path in (name, tmp_path / name):
        assert verifier.check_exists(path)
        assert verifier.check_freshness(path, 1)
        assert verifier.validate_size(path)
        assert verifier.validate_integrity(path, "postgres")


def several(folder: Path) -> Path:
    """Two complete ones, the newer by time of modification named like the older, and rubbish."""
    folder.mkdir()
    for name, hours in (("b-old.sql", 30.0), ("a-new.sql", 2.0)):
        (folder / name).write_bytes(SQL)
        aged(folder / name, hours)
    (folder / "README").write_text("about these")
    (folder / ".hidden.sql").write_bytes(SQL)
    return folder


def test_several_candidates_the_newest_complete_one_wins(
    tmp_path: Path, verifier: BackupVerifier
) -> None:
    folder = several(tmp_path / "backups")
    for name in ("c.sql.partial", "d.sql.tmp"):
        (folder / name).write_bytes(SQL[:40])
    (folder / "e.sql").touch()
    for where in (folder, folder / "*.sql*", tmp_path / "b*s" / "?-*.sql"):
        assert verifier.check_exists(where)
        assert last(verifier).reason.startswith("a-new.sql"), where
        assert verifier.check_freshness(where, 3)
        assert not verifier.check_freshness(where, 1)
        assert verifier.validate_integrity(where)
    assert verifier.check_exists(folder)
    for name in ("c.sql.partial (still being written)", "d.sql.tmp", "e.sql (empty)"):
        assert name in last(verifier).reason


def test_partial_backup_alone_is_no_backup(tmp_path: Path, verifier: BackupVerifier) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    assert not verifier.check_exists(folder)
    assert "there is no backup" in last(verifier).reason
    (folder / "orders.sql.partial").write_bytes(SQL)
    (folder / "empty.sql").touch()
    assert not verifier.check_exists(folder)
    assert last(verifier).verdict is Verdict.FAILED
    assert "orders.sql.partial" in last(verifier).reason
    assert not verifier.check_exists(folder / "*.dump")
    assert last(verifier).verdict is Verdict.FAILED


def test_a_partial_backup_that_is_named_is_judged_as_what_it_is(
    tmp_path: Path, verifier: BackupVerifier
) -> None:
    path = tmp_path / "orders.sql"
    path.write_bytes(SQL[:-60])
    assert not verifier.validate_integrity(path)
    assert last(verifier).verdict is Verdict.FAILED
    assert "cut" in last(verifier).reason


def test_a_directory_dump_without_its_table_of_contents_is_failed(
    dumped: Dumped, tmp_path: Path, verifier: BackupVerifier
) -> None:
    folder = dumped.dump(tmp_path / "orders", "-Fd")
    (folder / "toc.dat").unlink()
    assert not verifier.validate_integrity(folder)
    assert last(verifier).verdict is Verdict.FAILED
    assert "toc.dat" in last(verifier).reason


def test_a_directory_dump_that_is_still_being_written_is_passed_over(
    dumped: Dumped, tmp_path: Path, verifier: BackupVerifier
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    dumped.dump(folder / "monday", "-Fd")
    (dumped.dump(folder / "tuesday", "-Fd") / "toc.dat").unlink()
    assert verifier.validate_integrity(folder, "postgres")
    assert verifier.check_exists(folder)
    assert last(verifier).reason.startswith("monday")
    assert "tuesday (toc.dat, written last, is missing)" in last(verifier).reason


def test_a_folder_of_unknown_things_is_inconclusive(
    tmp_path: Path, verifier: BackupVerifier
) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert not verifier.check_exists(tmp_path)
    assert last(verifier).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("earlier", "tonight"),
    [
        ("orders-24.backup", "orders-25.backup"),
        ("orders-24.tar", "orders-25.TAR"),
        ("orders.2026-11-24", "orders.2026-11-25"),
        ("orders-24", "orders-25"),
    ],
)
def test_a_newer_file_named_like_the_backup_and_not_known_as_one_is_never_passed_over(
    earlier: str, tonight: str, tmp_path: Path, verifier: BackupVerifier
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / earlier).write_bytes(SQL)
    aged(folder / earlier, 24)
    (folder / "notes.txt").write_text("newer, and no backup")
    assert verifier.check_exists(folder)
    assert "notes.txt (not known as a backup)" in last(verifier).reason
    (folder / tonight).write_bytes(bytes(100_000))
    for answer in (
        verifier.check_exists(folder),
        verifier.check_freshness(folder, 26),
        all(verifier.verify_all({"path": folder, "max_age_hours": 26}).values()),
    ):
        assert answer is False
        assert last(verifier).verdict is Verdict.INCONCLUSIVE
        assert tonight in last(verifier).reason
    aged(folder / tonight, 30)
    assert verifier.check_exists(folder)


def test_candidates_of_other_stores_are_not_meant(tmp_path: Path, verifier: BackupVerifier) -> None:
    folder = several(tmp_path / "backups")
    (folder / "dump.rdb").write_bytes(b"REDIS0011\xff" + bytes(8))
    assert verifier.validate_integrity(folder, "postgres")
    assert "a-new.sql" in last(verifier).reason


def test_of_several_archives_the_time_inside_decides(
    dumped: Dumped, tmp_path: Path, verifier: BackupVerifier
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old = dumped.dump(folder / "old.dump")
    dumped.dump(folder / "new.tar", "-Ft")
    old.write_bytes(dated(old.read_bytes(), datetime.now(UTC) - timedelta(days=3)))
    aged(folder / "new.tar", 1)  # the old one was copied since: its file is newer
    assert verifier.check_exists(folder)
    assert last(verifier).reason.startswith("new.tar")


def test_a_backup_set_is_not_taken_for_plain_files(
    tmp_path: Path, verifier: BackupVerifier
) -> None:
    (tmp_path / "manifest.dsse.json").write_text("{}")
    assert not verifier.validate_integrity(tmp_path)
    assert last(verifier).verdict is Verdict.INCONCLUSIVE
    assert "backup.verify" in last(verifier).hint


# ── what an archive says of itself ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["-Fc", "-Ft", "-Fd"])
def test_an_archive_tells_when_and_from_what_it_was_made(
    dumped: Dumped, tmp_path: Path, form: str
) -> None:
    before = datetime.now().replace(microsecond=0)  # noqa: DTZ005  local time is what it tells
    path = dumped.dump(tmp_path / "x", form)
    head = (path / "toc.dat" if path.is_dir() else path).read_bytes()
    for length in range(0, 400, 7):
        archive_head.origin(head[:length])  # cut anywhere: no exception
    origin = archive_head.origin(head)
    assert origin is not None
    assert origin.made is not None
    assert timedelta() <= origin.made - before < timedelta(minutes=1)
    assert origin.server.startswith("18")
    assert origin.tool.startswith("18")


def dated(archive: bytes, moment: datetime) -> bytes:
    """The same custom-format archive, as if made then (in UTC)."""
    fields = (moment.second, moment.minute, moment.hour, moment.day, moment.month - 1)
    size = archive[8]
    written = b"".join(
        b"\0" + value.to_bytes(size, "little") for value in (*fields, moment.year - 1900)
    )
    at = archive_head.HEAD_SIZE
    return archive[:at] + written + archive[at + len(written) :]


# ── the facade itself ───────────────────────────────────────────────────────────────────────────


def test_the_package_is_cheap_to_import_and_has_the_verifier() -> None:
    program = (
        "import sys, backup_lib; heavy = {'pydantic', 'psycopg', 'backup_lib.verifier'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "from backup_lib import BackupVerifier; BackupVerifier()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(ImportError):
        exec("from backup_lib import BackupVerifyer")


def test_the_script_can_be_executed() -> None:
    script = Path(__file__).parents[2] / "scripts" / "verify_backup.py"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text().startswith("#!/usr/bin/env python3\n")
