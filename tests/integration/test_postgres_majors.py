"""Every supported major: backed up, restored into itself and into the newest, proven equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_lib.comparison import compare
from backup_lib.model import ProofLevel, Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.source import PostgresSource
from backup_lib.work import Work
from tests.harness.majors import programs_of
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.postgres import MakeServer, PostgresServer, bundled_programs

pytestmark = pytest.mark.servers

MAJORS = (14, 16, 17)
"""Beside 15, the distribution's, and 18, the wheel's."""

CONTENT = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE customers (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, m mood);
INSERT INTO customers (name, m) SELECT 'n' || n, (ARRAY['sad', 'ok', 'happy'])[1 + n % 3]::mood
    FROM generate_series(1, 500) n;
CREATE TABLE numbers (n numeric, f float8, d positive, j jsonb, t timestamptz, b bytea,
    doubled int GENERATED ALWAYS AS (d * 2) STORED);
INSERT INTO numbers VALUES (1.0, '-0', 1, '{"a": [1, null]}', '2026-03-01 12:00+02', '\\x00ff'),
    (1.00, 'NaN', 2, NULL, 'infinity', ''), ('NaN', '-Infinity', NULL, '""', NULL, NULL);
CREATE TABLE events (at date NOT NULL, what text, who int REFERENCES customers)
    PARTITION BY RANGE (at);
CREATE TABLE events_26 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO events SELECT date '2026-01-01' + n, 'e' || n FROM generate_series(0, 300) n;
CREATE TABLE parent (a int); CREATE TABLE child (b text) INHERITS (parent);
INSERT INTO child VALUES (1, 'x');
CREATE VIEW happy AS SELECT name, count(*) OVER () AS n FROM customers WHERE m = 'happy';
CREATE MATERIALIZED VIEW counted AS SELECT m, count(*) FROM customers GROUP BY m;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
ALTER FUNCTION touch() DEPENDS ON EXTENSION plpgsql;
CREATE AGGREGATE added(number int) (sfunc = int4pl, stype = int);
CREATE TRIGGER touched BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touch();
CREATE INDEX ON customers (lower(name)) WHERE m IS NOT NULL;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON customers FOR SELECT USING (name <> '');
CREATE SEQUENCE apart START 7 INCREMENT 3; SELECT nextval('apart');
COMMENT ON TABLE customers IS 'who buys';
SELECT lo_from_bytea(4711, 'large');
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


def backed_up(server: PostgresServer, work: Work) -> MemorySource:
    server.create_database("shop")
    with server.connect("shop") as connection:
        connection.execute(CONTENT)
    given = PostgresSettings.model_validate(
        {**server.params("shop"), "port": server.port, "programs": str(bundled_programs())}
    )
    kept = MemorySet()
    return kept.finish(PostgresSource("shop", given, Path("/")).backup(kept.sink(), work))


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("into", ["itself", "the newest"])
def test_a_server_of_that_major_is_restored_and_proven_equal(
    make_server: MakeServer, work: Work, major: int, into: str
) -> None:
    old = make_server(programs=programs_of(major))
    source = backed_up(old, work)
    assert source.record.backup.server.version.startswith(f"{major}.")
    other = make_server(programs=programs_of(major)) if into == "itself" else make_server()
    target = Target("postgres", other.params(), disposable=True)
    restorer = PostgresRestorer()
    restored = restorer.restore(source, target, RestoreOptions(globals=True), work)
    taken = source.record.backup.fingerprint
    assert taken is not None
    copied = restorer.fingerprint(source.record, restored.target, work)
    comparison = compare(taken, copied, work.clock.now())
    assert comparison.differences == ()
    assert comparison.level is ProofLevel.EXACT

    with other.connect(restored.target.params["dbname"]) as connection:
        connection.execute("UPDATE numbers SET n = 1.0 WHERE n = 1.00 AND d = 2")
    altered = compare(
        taken, restorer.fingerprint(source.record, restored.target, work), work.clock.now()
    )
    assert [d.name for d in altered.differences] == ["public.numbers"]
