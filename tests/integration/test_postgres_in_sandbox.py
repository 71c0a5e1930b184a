"""The whole way through the disposable server that a restore is rehearsed in."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres.foreign import restore_plain_sql
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.stores.postgres.server import PostgresRecipe
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.source import PostgresSource
from backup_lib.work import Work
from tests.harness.memory_set import MemorySet
from tests.harness.postgres import PostgresServer

BALANCED = """
select (select sum(delta) from pgbench_history) = (select sum(abalance) from pgbench_accounts)
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


def test_written_to_while_it_is_dumped_and_still_proven_equal(
    postgres: PostgresServer, work: Work
) -> None:
    postgres.create_database("bench")
    address = ["-h", postgres.host, "-p", str(postgres.port), "-U", "postgres"]
    postgres.run("pgbench", *address, "-i", "-q", "bench")
    given = {**postgres.params("bench"), "port": postgres.port}
    source = PostgresSource("orders", PostgresSettings.model_validate(given), Path("/"))
    kept = MemorySet()
    with subprocess.Popen(
        [str(postgres.programs / "pgbench"), *address, "-T", "60", "-c", "2", "bench"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    ) as writers:
        try:
            with postgres.connect("bench") as connection:
                while connection.execute("SELECT FROM pgbench_history").rowcount == 0:
                    pass
            backed_up = kept.finish(source.backup(kept.sink(), work))
        finally:
            writers.terminate()
    restorer = PostgresRestorer()
    recipe = restorer.recipe(backed_up.record)
    sandbox = ProcessSandbox()
    assert restorer.gaps(backed_up.record, sandbox.offers(recipe)) == ()
    with sandbox.start(recipe, work) as server:
        restored = restorer.restore(backed_up, server.target, RestoreOptions(), work)
        copied = restorer.fingerprint(backed_up.record, restored.target, work)
        (balanced,) = restorer.check_assertions(
            restored.target,
            [BALANCED],
            work,
        )
    taken = backed_up.record.backup.fingerprint
    assert taken is not None
    assert copied.items == taken.items
    assert copied.method == taken.method
    assert balanced.held is True


def test_a_plain_dump_is_restored_by_a_confined_psql(postgres: PostgresServer, work: Work) -> None:
    postgres.create_database("plain")
    with postgres.connect("plain") as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS n")
    address = ["-h", postgres.host, "-p", str(postgres.port), "-U", "postgres"]
    dump = postgres.run("pg_dump", *address, "plain").stdout
    restorer = PostgresRestorer()
    with ProcessSandbox().start(PostgresRecipe(), work) as server:
        restored = restore_plain_sql(io.BytesIO(dump), server.target, work)
        (whole,) = restorer.check_assertions(
            restored.target, ["select count(*) = 100 from t"], work
        )
    assert whole.held is True
