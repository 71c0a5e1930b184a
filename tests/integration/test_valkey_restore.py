"""Restores of a Valkey backup: into live servers, and of what is damaged."""

from __future__ import annotations

import io
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from backup_lib.model import Gap, ServerFacts, Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.valkey import transfer, users
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.disposable import load_stream, restore_users
from backup_lib.stores.valkey.foreign import restore_rdb
from backup_lib.stores.valkey.loading import loading
from backup_lib.stores.valkey.restorer import ValkeyRestorer
from backup_lib.stores.valkey.server import ValkeyRecipe
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad, Refused, Unreachable, UsageError
from restoreproof_cli.demo.damage import with_right_crc
from tests.harness.memory_set import MemorySource
from tests.harness.sandboxes import processes_in
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import command, fill
from tests.harness.valkey_store import back_up, compared, documented_user, source_of

AS_IT_IS = RestoreOptions(globals=True)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(scratch=tmp_path_factory.mktemp("scratch"), stall_timeout=60, jobs=2)


@pytest.fixture(scope="module")
def backed_up(_worker_server: ValkeyServer, work: Work) -> MemorySource:
    with _worker_server.client() as client:
        client.flushall()
        fill(client)
        made = back_up(source_of(_worker_server), work)
        client.flushall()
        client.function_flush()
        client.acl_deluser("reader")
    return made


def restore(
    backed_up: MemorySource, server: ValkeyServer, work: Work, options: RestoreOptions = AS_IT_IS
) -> Target:
    target = source_of(server).target()
    return ValkeyRestorer().restore(backed_up, target, options, work).target


def size(server: ValkeyServer) -> int:
    with server.client() as client:
        return sum(about["keys"] for about in client.info("keyspace").values())


def test_into_an_empty_server_with_aof_which_keeps_it(
    backed_up: MemorySource, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server("--appendonly", "yes")
    target = restore(backed_up, server, work)
    first = compared(backed_up, target, work)
    assert first.level == "exact"

    with server.client() as client:
        client.shutdown(nosave=True)
    server.process.wait(30)
    server.restart()
    comparison = compared(backed_up, target, work)
    # users are in the aclfile, where one is configured, and in no append-only file
    assert comparison.differences == ()
    gone = {(gap.kind, gap.name) for gap in comparison.unproven} - {
        (gap.kind, gap.name) for gap in first.unproven
    }
    assert {kind for kind, _ in gone} == {"ACL users"}


def test_the_documented_rights_are_enough(
    backed_up: MemorySource,
    make_valkey_server: MakeValkeyServer,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PASSWORD", "pass-Zk3")
    server = make_valkey_server()
    with server.client() as client:
        command(client, "ACL", "SETUSER", *documented_user("restore", "pass-Zk3"))
        client.set("mine", "x")
    source = source_of(server, username="restore", password={"env": "PASSWORD"})
    options = RestoreOptions(overwrite=True, globals=True)
    restored = ValkeyRestorer().restore(backed_up, source.target(), options, work)
    assert compared(backed_up, restored.target, work).level == "exact"


def test_a_server_with_data_is_refused_and_stays_as_it_was(
    backed_up: MemorySource, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server()
    with server.client() as client:
        client.select(5)
        client.set("mine", "x")
    with pytest.raises(Refused, match="holds 1 keys") as caught:
        restore(backed_up, server, work)
    assert "--overwrite" in caught.value.hint
    assert size(server) == 1


def test_functions_alone_are_data_too(
    backed_up: MemorySource, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server()
    with server.client() as client:
        client.function_load("#!lua name=mine\nserver.register_function('f', function() end)")
    with pytest.raises(Refused, match="1 libraries"):
        restore(backed_up, server, work)


def test_overwriting_replaces_all_of_it(
    backed_up: MemorySource, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server()
    with server.client() as client:
        client.set("mine", "x")
        client.set("string", "another")
        client.function_load("#!lua name=mine\nserver.register_function('f', function() end)")
    target = restore(backed_up, server, work, RestoreOptions(overwrite=True, globals=True))
    assert compared(backed_up, target, work).level == "exact"


def test_a_user_that_is_there_stays_as_it_is(
    backed_up: MemorySource, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server()
    with server.client() as client:
        command(client, "ACL", "SETUSER", "reader", "on", "nopass")
        said = ValkeyRestorer().restore(
            backed_up, source_of(server).target(), RestoreOptions(globals=True), work
        )
        assert "nopass" in client.acl_getuser("reader")["flags"]
    assert any("reader was there" in note for note in said.notes)


@pytest.mark.parametrize("options", [RestoreOptions(), RestoreOptions(overwrite=True)])
def test_a_bad_backup_leaves_the_target_as_it_was(
    valkey_server: ValkeyServer,
    make_valkey_server: MakeValkeyServer,
    work: Work,
    options: RestoreOptions,
) -> None:
    with valkey_server.client() as client:
        client.flushall()
        client.set("a", "b" * 1000)
    damaged = back_up(source_of(valkey_server), work)
    data = bytearray(damaged.data("data"))
    data[len(data) // 2] ^= 1
    damaged.damage("data", bytes(data))
    server = make_valkey_server()
    if options.overwrite:
        with server.client() as client:
            client.set("mine", "x")
    with pytest.raises(JudgedBad, match="does not load"):
        restore(damaged, server, work, options)
    assert size(server) == int(options.overwrite)


def test_a_target_that_fails_midway_is_emptied_again(
    backed_up: MemorySource, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
    with pytest.raises(Unreachable, match="refused a key"):
        restore(backed_up, server, work)
    assert size(server) == 0


@pytest.mark.parametrize("fails", [KeyboardInterrupt, None], ids=["interrupted", "key refused"])
def test_only_what_was_written_is_removed_after_a_failure(
    make_valkey_server: MakeValkeyServer,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    fails: type[BaseException] | None,
) -> None:
    origin, server = make_valkey_server(), make_valkey_server()
    with origin.client() as client:
        client.mset({f"k{n}": "old" for n in range(2000)})
    source = back_up(source_of(origin), work)
    hand_over = transfer._hand_over
    theirs: list[str] = []

    def disturbed(*arguments: object) -> None:
        """After the first batch, somebody writes a key that was not handed over yet."""
        if not theirs and size(server):
            with server.client() as client:
                theirs.append(next(f"k{n}" for n in range(2000) if not client.exists(f"k{n}")))
                client.set(theirs[0], "new")
                if fails is None:
                    client.config_set("maxmemory", 1)  # which refuses every key from now on
            if fails is not None:
                raise fails
        hand_over(*arguments)  # type: ignore[arg-type]  # the same that was given

    monkeypatch.setattr(transfer, "_hand_over", disturbed)
    with pytest.raises(fails or Unreachable):
        restore(source, server, work)
    with server.client() as client:
        assert list(client.scan_iter()) == theirs
        assert client.get(theirs[0]) == "new"


def test_users_are_not_made_where_nobody_may_see_which_are_there(
    backed_up: MemorySource,
    make_valkey_server: MakeValkeyServer,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PASSWORD", "pass-Zk3")
    server = make_valkey_server()
    with server.client() as client:
        command(client, "ACL", "SETUSER", "blind", "on", ">pass-Zk3", "~*", "&*", "+@all")
        command(client, "ACL", "SETUSER", "blind", "-acl|list")
        client.set("mine", "x")
        before = client.acl_list()
    source = source_of(server, username="blind", password={"env": "PASSWORD"})
    options = RestoreOptions(overwrite=True, globals=True)
    with pytest.raises(Refused, match="may not be read"):
        ValkeyRestorer().restore(backed_up, source.target(), options, work)
    assert size(server) == 1
    with server.client() as client:
        assert client.acl_list() == before
        # nor is the way in ever written over, whatever the set holds of it
        users.apply(client, ("user default off resetpass resetchannels -@all",))
        assert client.acl_list() == before


def test_a_replica_is_no_target(
    backed_up: MemorySource, make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    primary = make_valkey_server()
    replica = make_valkey_server("--replicaof", "127.0.0.1", str(primary.port))
    with pytest.raises(Refused, match="is a replica"):
        restore(backed_up, replica, work)


@pytest.mark.parametrize("options", [RestoreOptions(only=("a",)), RestoreOptions(database="a")])
def test_parts_and_other_names_are_a_wrong_call(
    backed_up: MemorySource, valkey_server: ValkeyServer, work: Work, options: RestoreOptions
) -> None:
    with pytest.raises(UsageError):
        restore(backed_up, valkey_server, work, options)


# ── disposable servers ──────────────────────────────────────────────────────────────────────────


def test_an_older_server_is_a_gap_that_is_named(backed_up: MemorySource) -> None:
    def gaps(product: str, version: str) -> tuple[Gap, ...]:
        return ValkeyRestorer().gaps(backed_up.record, ServerFacts(product, version))

    assert gaps("Valkey", "9.0.1") == gaps("Valkey", "10.0.0") == ()
    for product, version in (("Valkey", "8.1.4"), ("Redis", "8.2.0")):
        (gap,) = gaps(product, version)
        assert "VALKEY080" in gap.message
        assert "Valkey 9.0" in gap.hint


def damages(good: bytes) -> dict[str, bytes]:
    return {
        "cut": good[: len(good) // 2],
        "empty": b"",
        # in the checksum: elsewhere a flip may end the server, which its sandbox then says
        "one bit flipped": good[:-3] + bytes([good[-3] ^ 4]) + good[-2:],
        "another format": b"PGDMP" + good[5:],
        "of Redis 7.4": b"REDIS0012" + good[9:],
        "of the future": b"VALKEY999" + good[9:],
    }


@pytest.mark.parametrize("damage", damages(bytes(400)))
def test_damage_is_judged_bad_and_the_server_lives_on(
    backed_up: MemorySource, work: Work, damage: str
) -> None:
    good = backed_up.data("data")
    with ProcessSandbox().start(ValkeyRecipe(), work) as server:
        with pytest.raises(JudgedBad, match="does not load"):
            load_stream(io.BytesIO(damages(good)[damage]), server.target, work)
        load_stream(io.BytesIO(good), server.target, work)
        assert compared(backed_up, server.target, work).equal > 0


def test_a_server_that_hangs_while_it_loads_is_found(work: Work) -> None:
    with ProcessSandbox().start(ValkeyRecipe(), work) as server:
        home = Path(server.target.params["unix_socket_path"]).parent

        def load() -> None:
            with loading(server.target, replace(work, stall_timeout=1)) as feed:
                feed(b"VALKEY080\xfe\x00")
                for pid in processes_in(home):
                    os.kill(pid, signal.SIGSTOP)
                for _ in range(1000):
                    feed(bytes(1 << 16))

        with pytest.raises(Unreachable, match="took nothing for 1 s"):
            load()
        for pid in processes_in(home):
            os.kill(pid, signal.SIGCONT)


def test_a_file_of_another_tool_is_restored(backed_up: MemorySource, work: Work) -> None:
    with ProcessSandbox().start(ValkeyRecipe(), work) as server:
        restored = restore_rdb(io.BytesIO(backed_up.data("data")), server.target, work)
        differences = compared(backed_up, restored.target, work).differences
        assert {difference.kind for difference in differences} <= {"ACL users"}
        foreign = b"REDIS0012" + backed_up.data("data")[9:]
        with pytest.raises(Inconclusive, match=r"Redis 7\.4 and newer"):
            restore_rdb(io.BytesIO(foreign), server.target, work)


def of_module(name: str) -> bytes:
    """An RDB file with one key of that module: nine letters, six bits each, and a version."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for letter in name:
        number = number << 6 | letters.index(letter)
    record = b"\x07\x01a\x81" + (number << 10).to_bytes(8, "big") + b"\x00"
    return with_right_crc(b"REDIS0011\xfe\x00" + record + b"\xff" + bytes(8))


def test_data_of_a_module_that_the_sandbox_lacks_says_nothing_about_the_backup(work: Work) -> None:
    with ProcessSandbox().start(ValkeyRecipe(), work) as server:
        with pytest.raises(Inconclusive, match="of the module MBbloom--") as caught:
            load_stream(io.BytesIO(of_module("MBbloom--")), server.target, work)
        assert "says nothing about the backup" in caught.value.hint


def test_assertions_are_commands_that_only_read(backed_up: MemorySource, work: Work) -> None:
    wanted = {
        "EXISTS string": True,
        "EXISTS nothing": False,
        "DBSIZE > 10": True,
        "DBSIZE < 10": False,
        "GET string == value": True,
        "GET string == other": False,
        'GET "empty value" == ""': True,
        "HGET hash raw": True,
        "GET nothing": False,
        "SET string other": None,
        "FLUSHALL": None,
        "NOSUCH command": None,
        "GET list": None,
        "GET string > 3": None,
        "": None,
        'GET "unclosed': None,
    }
    with ProcessSandbox().start(ValkeyRecipe(), work) as server:
        load_stream(io.BytesIO(backed_up.data("data")), server.target, work)
        answers = ValkeyRestorer().check_assertions(server.target, tuple(wanted), work)
    assert {answer.text: answer.held for answer in answers} == wanted


def test_an_assertion_compares_the_whole_answer(work: Work) -> None:
    long = "x" * 150
    wanted = {
        f"GET long == {long}": True,
        f"GET long == {long[:100]}": False,
        f"GET long == {long}x": False,
    }
    with ProcessSandbox().start(ValkeyRecipe(), work) as server:
        with connect(server.target) as client:
            client.set("long", long)
        answers = ValkeyRestorer().check_assertions(server.target, tuple(wanted), work)
    assert {answer.text: answer.held for answer in answers} == wanted
    assert all(len(answer.answer) <= 100 for answer in answers)


def test_users_with_odd_rights_are_read_back_line_by_line(
    make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server()
    with server.client() as client:
        client.set("key", "value")
        command(client, "ACL", "SETUSER", "odd", "on", "nopass", "~a\u2028b", "~a\u0085b", "+get")
        lines = users.read(client)
    made = back_up(source_of(server), work)
    with server.client() as client:
        client.acl_deluser("odd")
    restore_users(made, source_of(server).target())
    with server.client() as client:
        assert users.read(client) == lines
