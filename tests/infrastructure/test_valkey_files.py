"""Rehearsed restores of ``dump.rdb`` and ``appendonlydir``, as a real server wrote them."""

from __future__ import annotations

import gzip
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_lib import BackupVerifier
from backup_lib.format.plain.kinds import PlainKind
from backup_lib.format.plain.plain_file import PlainFile
from backup_lib.model import Fingerprint
from backup_lib.stores.valkey.foreign import ValkeyForeign
from backup_lib.work import Work
from restoreproof.verdict import Verdict
from restoreproof_cli.demo.damage import with_right_crc
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import command, fill
from tests.harness.valkey_store import back_up, source_of, taken_at_source
from tests.harness.verifiers import last

KEYS = {"db0": 300, "db3": 2}


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


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_copy_of_an_old_file_is_as_old_as_it_says(
    server: ValkeyServer,
    verifier: BackupVerifier,
    tmp_path: Path,
    compress: Callable[[bytes], bytes],
) -> None:
    put(server)
    data = saved(server).read_bytes()
    path = tmp_path / "dump.rdb"
    path.write_bytes(compress(data))
    assert verifier.check_freshness(path, 1)
    at = data.index(b"ctime") + 6
    then = int.from_bytes(data[at : at + 4], "little") - 9 * 86_400
    path.write_bytes(compress(data[:at] + then.to_bytes(4, "little") + data[at + 4 :]))
    assert verifier.check_freshness(path, 24) is False
    assert "9.0 days" in last(verifier).reason
    assert "copied" in last(verifier).hint
    assert verifier.check_freshness(path, 24 * 10)


# ── append-only files ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def logging_server(make_valkey_server: MakeValkeyServer) -> ValkeyServer:
    return make_valkey_server("--appendonly", "yes", "--appendfsync", "always")


def logged(server: ValkeyServer, folder: Path) -> Path:
    """A copy of the server's ``appendonlydir``, with a base and commands behind it."""
    with server.client() as client:
        command(client, "BGREWRITEAOF")
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)
        client.set("behind the base", "x" * 40)
        client.set("last", "y")
    return shutil.copytree(server.home / "appendonlydir", folder / "appendonlydir")


def test_the_base_of_an_append_only_file_tells_no_age(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    (base,) = logged(logging_server, tmp_path).glob("*.base.rdb")
    data = base.read_bytes()
    at = data.index(b"ctime") + 6
    base.write_bytes(data[:at] + bytes(4) + data[at + 4 :])
    assert verifier.check_freshness(base, 1)
    assert verifier.check_freshness(base.parent, 1)


def increment(folder: Path) -> Path:
    (found,) = folder.glob("*.incr.aof")
    return found


@pytest.mark.parametrize("kind", ["valkey", "valkey-aof", None])
def test_an_append_only_folder_is_restored_and_its_keys_are_counted(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path, kind: str | None
) -> None:
    put(logging_server)
    folder = logged(logging_server, tmp_path)
    assert verifier.validate_integrity(folder, kind), last(verifier)
    assert verifier.restore_test(folder, kind), last(verifier)
    assert "304 keys in 2 databases" in last(verifier).reason
    assert verifier.row_counts == KEYS | {"db0": 302}


def test_other_names_and_commands_only_are_restored_too(
    make_valkey_server: MakeValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    names = ("--appendfilename", "my log.aof", "--appenddirname", "logs")
    server = make_valkey_server(
        *("--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no"),
        *("--aof-timestamp-enabled", "yes", *names),
    )
    put(server)
    with server.client() as client:
        command(client, "BGREWRITEAOF")
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)
        client.set("behind the base", "x")
    folder = shutil.copytree(server.home / "logs", tmp_path / "copied")
    assert verifier.validate_integrity(folder), last(verifier)
    assert verifier.restore_test(folder), last(verifier)
    assert verifier.row_counts == KEYS | {"db0": 301}


def test_a_folder_of_the_single_file_of_old_is_restored(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    """What a server makes of ``appendonly.aof``: one base, an RDB file with commands behind it."""
    put(logging_server)
    folder = logged(logging_server, tmp_path)
    (base,) = folder.glob("*.base.rdb")
    (folder / "appendonly.aof").write_bytes(base.read_bytes() + increment(folder).read_bytes())
    base.unlink()
    increment(folder).unlink()
    (folder / "appendonly.aof.manifest").write_text("file appendonly.aof seq 1 type b\n")
    assert verifier.validate_integrity(folder) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE
    assert verifier.restore_test(folder), last(verifier)
    assert verifier.row_counts == KEYS | {"db0": 302}


def test_an_append_only_folder_is_compared_with_what_one_can_hold(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    with logging_server.client() as client:
        fill(client)
    folder = logged(logging_server, tmp_path)
    work = Work(scratch=tmp_path, stall_timeout=60)
    same = taken_at_source(back_up(source_of(logging_server, format="aof"), work))
    assert verifier.restore_test(folder, "valkey", expected=same), last(verifier)
    assert last(verifier).reason.startswith("exact: ")

    # of an RDB file: with it, consumers of streams have times that no append-only file keeps
    other = _fingerprint(logging_server, tmp_path)
    assert verifier.restore_test(folder, "valkey", expected=other) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE, last(verifier)

    with logging_server.client() as client:
        client.set("one more", "x")
    more = taken_at_source(back_up(source_of(logging_server, format="aof"), work))
    assert verifier.restore_test(folder, "valkey", expected=more) is False
    assert last(verifier).verdict is Verdict.FAILED, last(verifier)


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_half_a_command_at_the_end_is_left_out_aloud_as_a_server_does(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path, cut: int
) -> None:
    put(logging_server)
    folder = logged(logging_server, tmp_path)
    file = increment(folder)
    file.write_bytes(file.read_bytes()[:-cut])
    assert verifier.validate_integrity(folder) is False
    assert last(verifier).verdict is Verdict.FAILED
    assert "aof-load-truncated" in last(verifier).hint

    assert verifier.restore_test(folder), last(verifier)
    assert f"the last {len(LAST) - cut} bytes of {file.name}" in last(verifier).reason
    assert "were left out as a server does" in last(verifier).reason
    assert verifier.row_counts == KEYS | {"db0": 301}

    server = ValkeyServer(tmp_path, "--appendonly", "yes")
    try:
        with server.client() as client:
            assert client.dbsize() == 301
    finally:
        server.stop()


LAST = b"*3\r\n$3\r\nSET\r\n$4\r\nlast\r\n$1\r\ny\r\n"


def test_half_a_transaction_is_left_out_as_well(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    put(logging_server)
    folder = logged(logging_server, tmp_path)
    with increment(folder).open("ab") as file:
        file.write(b"*1\r\n$5\r\nMULTI\r\n" + LAST.replace(b"last", b"more"))
    assert verifier.restore_test(folder), last(verifier)
    assert "transaction" in last(verifier).reason
    assert verifier.row_counts == KEYS | {"db0": 302}


def injured(folder: Path, how: str) -> None:
    file = increment(folder)
    (base,) = folder.glob("*.base.rdb")
    content, manifest = file.read_bytes(), folder / "appendonly.aof.manifest"
    half = len(base.read_bytes()) // 2
    text = manifest.read_text()
    if how == "a bit of the base":
        data = bytearray(base.read_bytes())
        data[half] ^= 1
        base.write_bytes(data)
    elif how == "half of the base, every checksum right":
        # within a key's name: a cut between two keys leaves a whole file
        cut = base.read_bytes().index(b"key ", half) + 2
        base.write_bytes(with_right_crc(base.read_bytes()[:cut] + b"\xff" + bytes(8)))
    elif how == "no increment":
        file.unlink()
    elif how == "no base":
        base.unlink()
    elif how == "no manifest":
        manifest.unlink()
    elif how == "a part elsewhere":
        (folder.parent / "elsewhere").write_bytes(content)
        manifest.write_text(text.replace(file.name, "../elsewhere"))
    elif how == "a link":
        (folder.parent / "elsewhere").write_bytes(content)
        file.unlink()
        file.symlink_to(folder.parent / "elsewhere")
    elif how == "a part that is cut, and another behind it":
        (folder / "more.aof").write_bytes(content)
        file.write_bytes(content[:-3])
        manifest.write_text(text + "file more.aof seq 99 type i\n")
    else:
        assert how == "a length in the middle"
        file.write_bytes(content.replace(b"$40", b"$41", 1))


@pytest.mark.parametrize(
    "how",
    [
        "a bit of the base",
        "half of the base, every checksum right",
        "no increment",
        "no base",
        "no manifest",
        "a part elsewhere",
        "a link",
        "a part that is cut, and another behind it",
        "a length in the middle",
    ],
)
def test_a_damaged_append_only_folder_is_failed(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path, how: str
) -> None:
    put(logging_server)
    folder = logged(logging_server, tmp_path)
    injured(folder, how)
    assert verifier.restore_test(folder, "valkey-aof") is False
    assert last(verifier).verdict is Verdict.FAILED, last(verifier)
    assert verifier.row_counts == {}


def test_a_length_that_swallows_what_follows_is_no_half_command(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    put(logging_server)
    folder = logged(logging_server, tmp_path)
    file = increment(folder)
    file.write_bytes(file.read_bytes().replace(b"$40", b"$999", 1))
    assert verifier.restore_test(folder) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE, last(verifier)
    assert "how much is lost cannot be told" in last(verifier).reason


def test_commands_that_no_server_here_knows_are_inconclusive_and_named(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    put(logging_server)
    folder = logged(logging_server, tmp_path)
    with increment(folder).open("ab") as file:
        file.write(LAST.replace(b"$3\r\nSET", b"$8\r\nTS.ADDED"))
    assert verifier.restore_test(folder) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE, last(verifier)
    assert "TS.ADDED" in last(verifier).reason


def test_a_base_of_a_newer_format_is_inconclusive_and_named(
    logging_server: ValkeyServer, verifier: BackupVerifier, tmp_path: Path
) -> None:
    put(logging_server)
    folder = logged(logging_server, tmp_path)
    (base,) = folder.glob("*.base.rdb")
    base.write_bytes(with_right_crc(b"REDIS0012" + base.read_bytes()[9:]))
    assert verifier.restore_test(folder) is False
    assert last(verifier).verdict is Verdict.INCONCLUSIVE, last(verifier)
    assert "REDIS0012" in last(verifier).reason
