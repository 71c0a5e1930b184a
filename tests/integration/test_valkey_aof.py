"""The append-only file of a Valkey server as a backup: exact while it is written to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import valkey
from pydantic import ValidationError

from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.aof.moments import Moment, moment
from backup_lib.stores.valkey.aof.opened import OpenLog
from backup_lib.stores.valkey.restorer import ValkeyRestorer
from backup_lib.stores.valkey.roles import LOG_BASE_ROLE, LOG_INCREMENT_ROLE, LOG_MANIFEST_ROLE
from backup_lib.work import Work
from restoreproof.errors import ConfigError, JudgedBad, Refused, Unreachable
from restoreproof.events import Event, Warned
from restoreproof_cli.demo.damage import with_right_crc
from tests.harness.memory_set import MemorySource
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import command, fill
from tests.harness.valkey_store import back_up, compared, documented_user, restored, source_of

AOF = {"format": "aof"}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture
def server(make_valkey_server: MakeValkeyServer) -> ValkeyServer:
    return make_valkey_server("--appendonly", "yes")


def rewrite(server: ValkeyServer) -> None:
    """Have the server rewrite its append-only file, and wait for it."""
    with server.client() as client:
        command(client, "BGREWRITEAOF")
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)


def put_all(server: ValkeyServer) -> None:
    with server.client() as client:
        fill(client)


def put_some(server: ValkeyServer) -> None:
    with server.client() as client:
        client.set("after the base", "x")
        client.select(5)
        client.set("in db5", "y", ex=90_000)


@contextmanager
def written_to(
    server: ValkeyServer, write: Callable[[valkey.Valkey, int], object]
) -> Iterator[None]:
    """Somebody writes all the time."""
    over = threading.Event()

    def keep_writing() -> None:
        with server.client() as client:
            n = 0
            while not over.is_set():
                write(client, n)
                n += 1

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@pytest.mark.parametrize("rewritten", [False, True])
@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_everything_that_a_server_holds_comes_back(
    make_valkey_server: MakeValkeyServer, work: Work, preamble: str, rewritten: bool
) -> None:
    server = make_valkey_server("--appendonly", "yes", "--aof-use-rdb-preamble", preamble)
    put_all(server)
    if rewritten:
        rewrite(server)
    put_some(server)
    backed_up = back_up(source_of(server, **AOF), work)

    with restored(backed_up, work) as target:
        comparison = compared(backed_up, target, work)
    assert comparison.differences == ()
    assert comparison.level == "exact"
    assert comparison.equal > 10
    roles = {artifact.role for artifact in backed_up.record.artifacts}
    assert {LOG_BASE_ROLE, LOG_INCREMENT_ROLE, LOG_MANIFEST_ROLE} <= roles


def counting(client: valkey.Valkey, n: int) -> None:
    """What a busy application does: several databases, transactions, messages, expiry."""
    client.incr("counter")
    client.publish("news", "x")
    with client.pipeline(transaction=True) as pipe:
        pipe.select(n % 3)
        pipe.rpush("queue", n)
        pipe.publish("news", "y")
        pipe.set(f"key {n % 100}", n, ex=90_000)
        pipe.execute()  # type: ignore[no-untyped-call]


def test_it_is_exact_while_it_is_written_to(server: ValkeyServer, work: Work) -> None:
    put_all(server)
    rewrite(server)
    with written_to(server, counting):
        time.sleep(0.2)
        backed_up = back_up(source_of(server, **AOF), work)
    with restored(backed_up, work) as target:
        comparison = compared(backed_up, target, work)
        with connect(target, database=0) as client:
            copied = int(client.get("counter") or 0)  # type: ignore[arg-type]  # typed for both
    assert comparison.differences == ()
    assert comparison.level == "exact"
    with server.client() as client:
        assert 0 < copied < int(client.get("counter"))


def test_a_server_that_waits_before_it_sends_is_written_to_meanwhile(
    make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server("--appendonly", "yes", "--repl-diskless-sync-delay", "1")
    with written_to(server, counting):
        backed_up = back_up(source_of(server, **AOF), work)
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"


def test_without_a_fingerprint_it_ends_with_a_whole_command(
    server: ValkeyServer, work: Work
) -> None:
    with written_to(server, counting):
        time.sleep(0.2)
        backed_up = back_up(source_of(server, **AOF), work, fingerprint=False)
    assert backed_up.record.backup.fingerprint is None
    with restored(backed_up, work) as target, connect(target) as client:
        assert int(client.get("counter") or 0) > 0  # type: ignore[arg-type]  # as above


def test_a_rewrite_that_runs_is_waited_for(server: ValkeyServer, work: Work) -> None:
    put_all(server)
    with server.client() as client:
        client.config_set("rdb-key-save-delay", 20_000)  # microseconds a key: half a second
        command(client, "BGREWRITEAOF")
        assert client.info("persistence")["aof_rewrite_in_progress"]
    backed_up = back_up(source_of(server, **AOF), work)
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"


def test_a_rewrite_in_between_begins_it_anew(
    server: ValkeyServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(server)
    events: list[Event] = []
    seen: list[Moment] = []

    def then_rewritten(client: valkey.Valkey, log: OpenLog) -> Moment:
        found = moment(client, log)
        seen.append(found)
        if len(seen) == 1:
            rewrite(server)
        return found

    monkeypatch.setattr("backup_lib.stores.valkey.aof.backup.moment", then_rewritten)
    backed_up = back_up(source_of(server, **AOF), replace(work, emit=events.append))
    (warned,) = [event for event in events if isinstance(event, Warned)]
    assert "rewritten meanwhile" in warned.message
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"


def test_all_increments_of_a_rewrite_that_failed_are_taken(
    make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server("--appendonly", "yes", "--rdb-key-save-delay", "1000000")
    with server.client() as client:
        client.mset({"a": "1", "b": "2", "c": "3"})
        command(client, "BGREWRITEAOF")
    (child,) = children_of(server.pid)
    os.kill(child, signal.SIGKILL)
    with server.client() as client:
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)
        client.set("d", "4")
    with pytest.raises(Refused, match="aof_last_bgrewrite_status:err"):
        back_up(source_of(server, **AOF), work)

    server.restart()
    with server.client() as client:
        client.config_set("rdb-key-save-delay", 0)
        client.set("e", "5")
    backed_up = back_up(source_of(server, **AOF), work)
    assert backed_up.record.backup.details["increments"] == 2
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def test_what_had_expired_is_not_provable_and_no_difference(
    server: ValkeyServer, work: Work
) -> None:
    put_all(server)
    with server.client() as client:
        command(client, "DEBUG", "SET-ACTIVE-EXPIRE", 0)
        client.set("expired at the source", "x", px=1)
        client.hset("fields", mapping={"kept": "1", "gone": "2", "soon": "3"})
        command(client, "HPEXPIRE", "fields", 1, "FIELDS", 1, "gone")
        command(client, "HPEXPIRE", "fields", 700, "FIELDS", 1, "soon")
        client.set("soon", "y", px=700)
        time.sleep(0.01)
    backed_up = back_up(source_of(server, **AOF), work)
    time.sleep(0.7)
    with restored(backed_up, work) as target:
        comparison = compared(backed_up, target, work)
    assert comparison.differences == ()
    assert comparison.level == "exact"
    assert any("expired, not provable" in gap.reason for gap in comparison.unproven)


def test_a_replica_can_be_backed_up(make_valkey_server: MakeValkeyServer, work: Work) -> None:
    primary = make_valkey_server()
    replica = make_valkey_server(
        *("--appendonly", "yes", "--replicaof", "127.0.0.1", str(primary.port))
    )
    with replica.client() as client:
        while client.info("replication")["master_link_status"] != "up":
            time.sleep(0.02)
    with written_to(primary, counting):
        time.sleep(0.3)
        backed_up = back_up(source_of(replica, **AOF), work)
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"


def test_into_a_server_that_keeps_its_own(
    server: ValkeyServer, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    put_all(server)
    rewrite(server)
    put_some(server)
    backed_up = back_up(source_of(server, **AOF), work)
    spare = make_valkey_server("--appendonly", "yes")
    restored_into = ValkeyRestorer().restore(
        backed_up, source_of(spare).target(), RestoreOptions(globals=True), work
    )
    comparison = compared(backed_up, restored_into.target, work)
    assert comparison.differences == ()
    assert comparison.level == "exact"


# ── where it cannot be had ──────────────────────────────────────────────────────────────────────


def test_a_server_without_one_is_refused(valkey_server: ValkeyServer, work: Work) -> None:
    with pytest.raises(Refused, match="keeps no append-only file") as caught:
        back_up(source_of(valkey_server, **AOF), work)
    assert 'format = "rdb"' in caught.value.hint


def test_the_folder_is_named_where_the_server_may_not_be_asked(
    server: ValkeyServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "pass-Zk3")
    with server.client() as client:
        command(client, "ACL", "SETUSER", *documented_user("backup", "pass-Zk3"))
        client.set("a", "b")
    user = {"username": "backup", "password": {"env": "PASSWORD"}}
    with pytest.raises(ConfigError, match="does not say where") as caught:
        source_of(server, **AOF, **user).probe()
    assert "aof_folder" in caught.value.hint
    for folder in (server.home, server.home / "appendonlydir"):
        source = source_of(server, **AOF, **user, aof_folder=str(folder))
        assert source.probe().product == "Valkey"
        back_up(source, work)


def test_a_folder_that_is_not_there_is_a_wrong_configuration(
    server: ValkeyServer, work: Work, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no append-only file at"):
        back_up(source_of(server, **AOF, aof_folder=str(tmp_path)), work)


def test_the_folder_of_another_server_is_found_out(
    server: ValkeyServer, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    other = make_valkey_server("--appendonly", "yes")
    with server.client() as mine, other.client() as its:
        mine.set("a", "b")
        its.set("c", "d")
    source = source_of(server, **AOF, aof_folder=str(other.home))
    with written_to(server, counting):
        time.sleep(0.2)
        with pytest.raises(Unreachable) as caught:
            back_up(source, replace(work, stall_timeout=5))
    assert "is it the folder of that server?" in caught.value.hint


def test_a_base_that_is_damaged_on_the_disk_of_the_source_is_not_stored(
    server: ValkeyServer, work: Work
) -> None:
    put_all(server)
    rewrite(server)
    (base,) = (server.home / "appendonlydir").glob("*.base.rdb")
    content = bytearray(base.read_bytes())
    content[len(content) // 2] ^= 1
    base.write_bytes(content)
    with pytest.raises(Unreachable, match="wrong checksum") as caught:
        back_up(source_of(server, **AOF), work)
    assert "BGREWRITEAOF" in caught.value.hint


def test_the_folder_belongs_to_the_format() -> None:
    with pytest.raises(ValidationError, match="aof_folder is for"):
        source_of("valkey://127.0.0.1:1", aof_folder="/somewhere")


# ── damage ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def kept(server: ValkeyServer, work: Work) -> MemorySource:
    with server.client() as client:
        client.mset({f"key {n}": f"value {n}" for n in range(500)})
        client.rpush("list", *range(300))
        rewrite(server)
        for n in range(500, 600):
            client.set(f"key {n}", f"value {n}")
    return back_up(source_of(server, **AOF), work)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a bit of the base": (LOG_BASE_ROLE, lambda data: flipped(data, len(data) // 2)),
    "half of the base": (LOG_BASE_ROLE, lambda data: data[: len(data) // 2]),
    "half of the base, every checksum right": (
        LOG_BASE_ROLE,
        lambda data: with_right_crc(data[: len(data) // 2] + b"\xff" + bytes(8)),
    ),
    "another format": (LOG_BASE_ROLE, lambda data: b"PGDMP" + data[5:]),
    "no base": (LOG_BASE_ROLE, lambda _data: b""),
    "a name of a command": (LOG_INCREMENT_ROLE, lambda data: data.replace(b"SET", b"SEU", 1)),
    "a length": (LOG_INCREMENT_ROLE, lambda data: data.replace(b"$3", b"$7", 1)),
    "a tail that was cut": (LOG_INCREMENT_ROLE, lambda data: data[:-3]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_judged_bad(kept: MemorySource, work: Work, damage: str) -> None:
    role, change = DAMAGES[damage]
    before = kept.data(role)
    kept.damage(role, change(before))
    assert kept.data(role) != before
    with pytest.raises(JudgedBad), restored(kept, work):
        pass


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: data.rindex(b"*3\r\n")],
        lambda data: data.replace(b"value 550", b"valuE 550"),
        lambda _data: b"",
    ],
    ids=["one command less", "one letter", "nothing"],
)
def test_what_loads_and_is_something_else_is_a_difference(
    kept: MemorySource, work: Work, change: Callable[[bytes], bytes]
) -> None:
    kept.damage(LOG_INCREMENT_ROLE, change(kept.data(LOG_INCREMENT_ROLE)))
    with restored(kept, work) as target:
        assert compared(kept, target, work).differences


def test_a_bad_one_leaves_a_live_target_as_it_was(
    kept: MemorySource, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    kept.damage(
        LOG_BASE_ROLE,
        DAMAGES["half of the base, every checksum right"][1](kept.data(LOG_BASE_ROLE)),
    )
    spare = make_valkey_server()
    with spare.client() as client:
        client.set("mine", "x")
        with pytest.raises(JudgedBad):
            ValkeyRestorer().restore(
                kept, source_of(spare).target(), RestoreOptions(overwrite=True), work
            )
        assert client.dbsize() == 1
