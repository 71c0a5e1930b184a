"""Dumps that other tools made, plain SQL above all: restored, and never obeyed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from backup_lib.model import Target
from backup_lib.stores.postgres.foreign import restore_archive_file, restore_plain_sql
from backup_lib.stores.postgres.programs import newest_first
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad
from tests.harness.postgres import MakeServer, PostgresServer


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture(scope="module")
def server(make_module_server: MakeServer) -> PostgresServer:
    """Where the dumps come from, and where they are restored."""
    server = make_module_server()
    server.create_database("origin")
    with server.connect("origin") as connection:
        connection.execute(
            r"""
            CREATE ROLE gone;
            CREATE TABLE t (n int PRIMARY KEY, v text);
            INSERT INTO t SELECT n, E'a\n\\! ' || n || ' \connect' FROM generate_series(1, 5000) n;
            ALTER TABLE t OWNER TO gone;
            GRANT SELECT ON t TO gone;
            """
        )
    return server


def pg_dump(server: PostgresServer, *options: str) -> bytes:
    argv = ["-h", server.host, "-p", str(server.port), "-U", "postgres", *options, "origin"]
    return server.run("pg_dump", *argv).stdout


@pytest.fixture(scope="module")
def plain(server: PostgresServer) -> bytes:
    return pg_dump(server)


@pytest.fixture(scope="module")
def sandbox(make_module_server: MakeServer) -> PostgresServer:
    return make_module_server()


def target(server: PostgresServer) -> Target:
    return Target("postgres", server.params(), disposable=True)


def count(server: PostgresServer) -> int:
    with server.connect("restored") as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
    assert row is not None
    return int(row[0])


def test_a_plain_dump_is_restored(sandbox: PostgresServer, work: Work, plain: bytes) -> None:
    assert plain.count(b"\\restrict ") == 1
    restored = restore_plain_sql(io.BytesIO(plain), target(sandbox), work)
    assert restored.target.params["dbname"] == "restored"
    assert count(sandbox) == 5000
    assert set(restored.tolerated) == {'role "gone" does not exist'}


def test_a_dump_that_is_read_in_small_pieces_loses_its_own_lock_lines(
    sandbox: PostgresServer, work: Work, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_lib.stores.postgres.plain._CHUNK", 37)
    monkeypatch.setattr("backup_lib.stores.postgres.foreign.HEAD_SIZE", 301)
    restore_plain_sql(io.BytesIO(plain), target(sandbox), work)
    assert count(sandbox) == 5000


@pytest.mark.parametrize(
    "command",
    [
        rb"\! touch {mark}",
        rb"\o |touch {mark}",
        rb"\copy t to program 'touch {mark}'",
        rb"\g |touch {mark}",
        rb"select 1 \gexec",
        rb"\unrestrict abc" + b"\n" + rb"\! touch {mark}",
        rb"\set x `touch {mark}`",
        rb"\i /etc/passwd",
    ],
)
def test_a_command_for_psql_is_not_executed(
    sandbox: PostgresServer, work: Work, plain: bytes, tmp_path: Path, command: bytes
) -> None:
    mark = tmp_path / "mark"
    tmp_path.chmod(0o777)
    line = b"\n" + command.replace(b"{mark}", str(mark).encode()) + b"\n"
    for script in (
        b"CREATE TABLE t AS SELECT 1;" + line,
        plain + line,
        plain.replace(b"\nCREATE TABLE", line + b"CREATE TABLE", 1),
    ):
        with pytest.raises(Inconclusive, match="command for psql itself"):
            restore_plain_sql(io.BytesIO(script), target(sandbox), work)
    assert not mark.exists()


def test_the_token_of_the_dump_does_not_unlock(
    sandbox: PostgresServer, work: Work, plain: bytes, tmp_path: Path
) -> None:
    token = plain.split(b"\\restrict ")[1].split(b"\n")[0]
    mark = tmp_path / "mark"
    script = plain + b"\\unrestrict " + token + b"\n\\! touch " + str(mark).encode() + b"\n"
    with pytest.raises(Inconclusive, match="command for psql itself"):
        restore_plain_sql(io.BytesIO(script), target(sandbox), work)
    assert not mark.exists()


@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
def test_a_cut_plain_dump_is_judged_bad(
    sandbox: PostgresServer, work: Work, plain: bytes, share: float
) -> None:
    with pytest.raises(JudgedBad):
        restore_plain_sql(io.BytesIO(plain[: int(len(plain) * share)]), target(sandbox), work)


def test_an_error_in_a_plain_dump_is_judged_bad(
    sandbox: PostgresServer, work: Work, plain: bytes
) -> None:
    with pytest.raises(JudgedBad, match="invalid input syntax for type integer"):
        restore_plain_sql(io.BytesIO(plain.replace(b"\n77\t", b"\nseven\t")), target(sandbox), work)


@pytest.mark.parametrize("form", ["custom", "directory", "tar"])
def test_an_archive_is_restored(
    server: PostgresServer, sandbox: PostgresServer, work: Work, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "backup"
    pg_dump(server, f"--format={form}", f"--file={path}")
    restored = restore_archive_file(path, target(sandbox), work)
    assert restored.tolerated == ()
    assert count(sandbox) == 5000


def test_a_cut_archive_is_judged_bad(
    server: PostgresServer, sandbox: PostgresServer, work: Work, tmp_path: Path
) -> None:
    path = tmp_path / "backup"
    whole = pg_dump(server, "--format=custom", "--compress=0")
    for share in (0.001, 0.5, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(JudgedBad):
            restore_archive_file(path, target(sandbox), work)


COMPRESSION = 11
VERSION = 6
"""Where an uncompressed custom-format archive says what packs its data, and its minor version."""


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [(COMPRESSION, 3, "zstd"), (COMPRESSION, 2, "lz4"), (VERSION, 99, r"unsupported version")],
)
def test_an_archive_that_no_tool_here_is_made_for_is_not_blamed(
    server: PostgresServer,
    sandbox: PostgresServer,
    work: Work,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    value: int,
    said: str,
) -> None:
    path = tmp_path / "backup"
    archive = bytearray(pg_dump(server, "--format=custom", "--compress=0"))
    assert archive[COMPRESSION] == 0
    archive[at] = value
    path.write_bytes(archive)
    monkeypatch.setattr("backup_lib.stores.postgres.programs._INSTALLED", ())  # the wheel's alone
    with pytest.raises(Inconclusive, match=said) as caught:
        restore_archive_file(path, target(sandbox), work)
    assert "client tools" in caught.value.hint


def test_the_next_tool_is_asked_where_the_newest_is_not_made_for_an_archive(
    server: PostgresServer,
    sandbox: PostgresServer,
    work: Work,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "backup"
    pg_dump(server, "--format=custom", f"--file={path}")
    poor = tmp_path / "poor" / "pg_restore"
    poor.parent.mkdir()
    poor.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "pg_restore (PostgreSQL) 18.99"; exit 0; fi\n'
        "echo 'pg_restore: warning: archive is compressed, but this installation does not support "
        "compression (this build does not support compression with zstd)' >&2\n"
    )
    poor.chmod(0o755)
    monkeypatch.setenv("PATH", str(poor.parent), prepend=os.pathsep)
    assert newest_first("pg_restore")[0].folder == poor.parent
    restore_archive_file(path, target(sandbox), work)
    assert count(sandbox) == 5000
