"""The locale of the restored database: the source's, or one that blames no backup."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backup_lib.model import Comparison, ProofLevel, StoreRecord, Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.work import Work
from tests.harness.locales import OTHER, make_other_locale
from tests.harness.memory_set import MemorySource
from tests.harness.postgres import MakeServer, PostgresServer
from tests.harness.restores import back_up, compared, names, place, sandbox

KIND = "database locale"


@pytest.fixture(scope="module")
def abroad(make_module_server: MakeServer) -> Iterator[PostgresServer]:
    """A server with a locale that others lack."""
    folder = Path(tempfile.mkdtemp(prefix="locales-"))
    folder.chmod(0o755)
    make_other_locale(folder)
    yield make_module_server(locales=folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def foreign(
    abroad: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MemorySource]:
    """A backup of a database that sorts by that locale."""
    work = Work(scratch=tmp_path_factory.mktemp("scratch"), stall_timeout=60, jobs=2)
    abroad.create_database("letters", lc_collate=OTHER, lc_ctype=OTHER)
    with abroad.connect("letters") as connection:
        connection.execute("CREATE TABLE t AS SELECT 'x' AS n")
    yield back_up(abroad, "letters", work)
    abroad.drop_database("letters")


def reasons(comparison: Comparison) -> list[str]:
    return [gap.reason for gap in comparison.unproven if gap.kind == KIND]


def the_reason(comparison: Comparison) -> str:
    """Of a copy in which all else is proven."""
    assert comparison.level is ProofLevel.EXACT
    (reason,) = reasons(comparison)
    return reason


def relocate(server: PostgresServer, name: str, locale: str) -> None:
    with server.connect() as connection:
        connection.execute(
            "UPDATE pg_database SET datcollate = %s, datctype = %s WHERE datname = %s",
            (locale, locale, name),
        )


def spelt_otherwise(record: StoreRecord) -> StoreRecord:
    """As a server that keeps the name of a builtin locale as it is given would tell it."""
    backup = record.backup
    assert backup.fingerprint is not None
    assert backup.details["locale"] == "C.UTF-8"
    items = tuple(
        replace(item, digest="0" * 32) if item.kind == KIND else item
        for item in backup.fingerprint.items
    )
    fingerprint = replace(backup.fingerprint, items=items)
    details = {**backup.details, "locale": "C.UTF8"}
    return replace(record, backup=replace(backup, details=details, fingerprint=fingerprint))


def test_a_server_with_the_locale_must_restore_it(
    abroad: PostgresServer, foreign: MemorySource, work: Work
) -> None:
    target = sandbox(abroad)
    restored = PostgresRestorer().restore(foreign, target, RestoreOptions(database="copy"), work)
    comparison = compared(foreign.record, restored.target, work)
    assert comparison.level is ProofLevel.EXACT
    assert reasons(comparison) == []
    before = names(abroad)
    relocate(abroad, "copy", "C")
    comparison = compared(foreign.record, restored.target, work)
    assert [found.kind for found in comparison.differences] == [KIND]
    assert names(abroad) == before
    abroad.drop_database("copy")


def test_a_locale_that_the_sandbox_lacks_is_not_proven_and_no_difference(
    other: PostgresServer, foreign: MemorySource, work: Work
) -> None:
    restored = PostgresRestorer().restore(foreign, sandbox(other), RestoreOptions(), work)
    reason = the_reason(compared(foreign.record, restored.target, work))
    assert reason.startswith(f"the server lacks the locale {OTHER} (libc): the copy has C")
    relocate(other, "letters", "POSIX")  # which is not what a restore takes instead
    comparison = compared(foreign.record, restored.target, work)
    assert [found.kind for found in comparison.differences] == [KIND]
    other.drop_database("letters")


def test_a_server_that_is_kept_may_have_a_database_of_another_locale(
    foreign: MemorySource, work: Work, lent: Target
) -> None:
    restored = PostgresRestorer().restore(foreign, lent, RestoreOptions(), work)
    reason = the_reason(compared(foreign.record, restored.target, work))
    assert f"and the source had {OTHER} (libc)" in reason


def test_another_spelling_of_the_same_locale_is_no_difference(
    postgres: PostgresServer, other: PostgresServer, work: Work
) -> None:
    postgres.create_database("spelt", locale_provider="builtin", builtin_locale="C.UTF-8")
    with postgres.connect("spelt") as connection:
        connection.execute("CREATE TABLE t AS SELECT 'x' AS n")
    source = back_up(postgres, "spelt", work)
    postgres.drop_database("spelt")
    source._set.record = spelt_otherwise(source.record)
    restored = PostgresRestorer().restore(source, sandbox(other), RestoreOptions(), work)
    before = names(other)
    reason = the_reason(compared(source.record, restored.target, work))
    assert reason.startswith("the server calls the locale C.UTF8 (builtin) by another name")
    assert names(other) == before
    other.drop_database("spelt")


def test_a_file_that_does_not_tell_its_locale_is_not_blamed_for_it(
    other: PostgresServer, foreign: MemorySource, work: Work
) -> None:
    other.create_database("plain", lc_collate="C", lc_ctype="C")
    with other.connect("plain") as connection:
        connection.execute("CREATE TABLE t AS SELECT 'x' AS n")
    record = replace(foreign.record, backup=replace(foreign.record.backup, details={}))
    copy = replace(place(other, "plain"), disposable=True)
    reason = the_reason(compared(record, copy, work))
    assert "does not tell the locale" in reason
    other.drop_database("plain")
