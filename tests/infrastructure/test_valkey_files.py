"""Rehearsed restores of ``dump.rdb``, as a real server saved it: through the verifier."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_lib import BackupVerifier
from backup_lib.format.plain.kinds import PlainKind
from backup_lib.format.plain.plain_file import PlainFile
from backup_lib.model import Fingerprint, RungResult
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.valkey.foreign import ValkeyForeign
from backup_lib.work import Work
from restoreproof.verdict import Verdict
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import fill
from tests.harness.valkey_store import back_up, source_of, taken_at_source

KEYS = {"db0": 300, "db3": 2}


@pytest.fixture
def verifier(sandbox_folder: Path, tmp_path: Path) -> Iterator[BackupVerifier]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    sandbox = ProcessSandbox(folder=sandbox_folder)
    yield BackupVerifier(sandbox=sandbox, channels={}, scratch=scratch)
    assert list(scratch.iterdir()) == []


def saved(server: ValkeyServer) -> Path:
    """What the server's own SAVE writes."""
    with server.client() as client:
        client.save()
    return server.home / "dump.rdb"


def put(server: ValkeyServer) -> None:
    with server.client() as client:
        for n in range(298):
            client.set(f"key {n}", "x" * 50, ex=None if n % 2 else 90_000)
        client.hset("hash", mapping={"a": "1"})
        client.rpush("list", "a", "b")
        client.function_load("#!lua name=mine\nserver.register_function('f', function() end)")
        client.select(3)
        client.set("a", "b")
        client.sadd("set", "b")


@pytest.fixture
def server(make_valkey_server: MakeValkeyServer) -> ValkeyServer:
    return make_valkey_server()


def last(verifier: BackupVerifier) -> RungResult:
    assert verifier.last is not None
    return verifier.last


@pytest.mark.parametrize("kind", ["valkey", "valkey-rdb", None])
def test_a_file_is_restored_and_its_keys_are_counted(
    server: ValkeyServer, verifier: BackupVerifier, kind: str | None
) -> None:
    put(server)
    assert verifier.restore_test(saved(server), kind), last(verifier)
    assert "302 keys in 2 databases" in last(verifier).reason
    assert verifier.row_counts == KEYS


def test_a_compressed_file_is_restored(
    server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    put(server)
    path = tmp_path / "dump.rdb.gz"
    path.write_bytes(gzip.compress(saved(server).read_bytes()))
    assert verifier.restore_test(path, "valkey"), last(verifier)
    assert verifier.row_counts == KEYS


def test_the_content_is_compared_with_a_fingerprint_of_the_source(
    server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    with server.client() as client:
        fill(client)
    source = _fingerprint(server, tmp_path)
    path = saved(server)
    assert verifier.restore_test(path, "valkey", expected=source), last(verifier)
    assert last(verifier).reason.startswith("exact: ")

    with server.client() as client:
        client.set("string", "another value")
    assert verifier.restore_test(saved(server), "valkey", expected=source) is False
    assert last(verifier).verdict is Verdict.FAILED


def _fingerprint(server: ValkeyServer, scratch: Path) -> Fingerprint:
    return taken_at_source(back_up(source_of(server), Work(scratch=scratch, stall_timeout=60)))


@pytest.mark.parametrize("damage", ["cut", "a bit", "no magic", "nothing"])
def test_a_damaged_file_is_failed(
    server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path, damage: str
) -> None:
    put(server)
    good = saved(server).read_bytes()
    half = len(good) // 2
    path = tmp_path / "dump.rdb"
    path.write_bytes(
        {
            "cut": good[:half],
            "a bit": good[:half] + bytes([good[half] ^ 4]) + good[half + 1 :],
            "no magic": b"X" + good[1:],
            "nothing": b"",
        }[damage]
    )
    assert verifier.restore_test(path, "valkey-rdb") is False
    assert last(verifier).verdict is Verdict.FAILED, last(verifier)
    assert verifier.row_counts == {}


def test_a_file_without_a_key_proves_nothing(
    server: ValkeyServer, verifier: BackupVerifier
) -> None:
    assert verifier.restore_test(saved(server), "valkey") is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE
    assert "0 keys" in last(verifier).reason


@pytest.mark.parametrize(
    ("header", "says"), [(b"REDIS0012", "REDIS0012"), (b"VALKEY099", "VALKEY099")]
)
def test_a_format_that_no_server_here_loads_is_inconclusive_and_named(
    server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path, header: bytes, says: str
) -> None:
    put(server)
    good = saved(server).read_bytes()
    path = tmp_path / "dump.rdb"
    path.write_bytes((header + good[9:]).replace(b"9.1.", b"99.1.", 1))
    assert verifier.restore_test(path, "valkey") is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE, last(verifier)
    assert says in last(verifier).reason


def test_the_file_names_its_writer_and_its_moment(server: ValkeyServer, tmp_path: Path) -> None:
    put(server)
    file = PlainFile(saved(server), PlainKind.VALKEY_RDB, Work(scratch=tmp_path))
    described = ValkeyForeign().describe(file).backup
    with server.client() as client:
        info = client.info("server")
        saved_at = client.lastsave()
    assert (described.server.product, described.server.version) == (
        "Valkey",
        info["valkey_version"],
    )
    assert abs(described.moment.timestamp() - saved_at.timestamp()) <= 1
