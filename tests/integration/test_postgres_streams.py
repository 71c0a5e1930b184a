"""Restoring with several readers of one stored dump."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_lib.comparison import compare
from backup_lib.model import ProofLevel, Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres import restorer, streams
from backup_lib.stores.postgres.dump import DATABASE_ROLE
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.source import PostgresSource
from backup_lib.work import Work
from restoreproof.errors import JudgedBad
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.postgres import PostgresServer

TABLES = 6
CONTENT = """
DO $$ BEGIN CREATE ROLE streams_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE SCHEMA of_owner AUTHORIZATION streams_owner;
CREATE TABLE of_owner.parent (id int PRIMARY KEY);
CREATE TABLE of_owner.child (id int REFERENCES of_owner.parent);
INSERT INTO of_owner.parent SELECT generate_series(1, 100);
INSERT INTO of_owner.child SELECT generate_series(1, 100);
ALTER TABLE of_owner.parent OWNER TO streams_owner;
ALTER TABLE of_owner.child OWNER TO streams_owner;
CREATE MATERIALIZED VIEW of_owner.counted AS SELECT count(*) FROM of_owner.child;
ALTER MATERIALIZED VIEW of_owner.counted OWNER TO streams_owner;
REVOKE ALL ON of_owner.parent FROM streams_owner;
SELECT lo_from_bytea(0, 'a large object');
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=3)


@pytest.fixture
def source(postgres: PostgresServer, work: Work, monkeypatch: pytest.MonkeyPatch) -> MemorySource:
    monkeypatch.setattr(restorer, "_WORTH_PARALLEL", 0)
    postgres.create_database("streams")
    with postgres.connect("streams") as connection:
        connection.execute(CONTENT)
        for number in range(TABLES):
            connection.execute(
                f"CREATE TABLE t{number} AS SELECT i, md5(i::text) AS m"
                f" FROM generate_series({number}, 30000) i"
            )
            connection.execute(f"CREATE INDEX ON t{number} (m)")
    given = {**postgres.params("streams"), "port": int(postgres.port)}
    store = PostgresSource("orders", PostgresSettings.model_validate(given), Path("/"))
    kept = MemorySet()
    return kept.finish(store.backup(kept.sink(), work))


def restored(source: MemorySource, server: PostgresServer, work: Work) -> Target:
    target = Target("postgres", server.params(), disposable=True)
    return PostgresRestorer().restore(source, target, RestoreOptions(), work).target


def test_what_three_readers_restore_is_proven_equal(
    source: MemorySource, postgres: PostgresServer, work: Work
) -> None:
    """With a table that its owner may not read, which a foreign key is checked against before."""
    found = PostgresRestorer().fingerprint(source.record, restored(source, postgres, work), work)
    taken = source.record.backup.fingerprint
    assert taken is not None
    comparison = compare(taken, found, work.clock.now())
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT


def test_the_head_grows_until_it_holds_the_table_of_contents(
    source: MemorySource, postgres: PostgresServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_FIRST_HEAD", 100)
    with postgres.connect(restored(source, postgres, work).params["dbname"]) as connection:
        for number in range(TABLES):
            row = connection.execute(f"SELECT count(*) FROM t{number}".encode()).fetchone()
            assert row == (30001 - number,)


@pytest.mark.parametrize("tenths", range(10))
def test_a_cut_dump_is_judged_bad_wherever_it_was_cut(
    tenths: int, source: MemorySource, postgres: PostgresServer, work: Work
) -> None:
    whole = source.data(DATABASE_ROLE)
    source.damage(DATABASE_ROLE, whole[: len(whole) * tenths // 10])
    with pytest.raises(JudgedBad):
        restored(source, postgres, work)


def test_no_copy_of_the_dump_is_made(
    source: MemorySource, postgres: PostgresServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def staged(_role: str, _folder: Path) -> Path:
        raise AssertionError("the dump was unpacked to the disk")

    monkeypatch.setattr(source, "stage", staged)
    restored(source, postgres, work)
