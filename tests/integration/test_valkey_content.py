"""Every type of key comes back equal from a real server, and every alteration of a copy shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backup_lib.model import Comparison, Target
from backup_lib.services.rehearsal import judge_content
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.content import keys
from backup_lib.stores.valkey.disposable import load_stream, restore_users
from backup_lib.work import Work
from restoreproof.verdict import Verdict
from tests.harness.memory_set import MemorySource
from tests.harness.valkey import ValkeyServer
from tests.harness.valkey_content import FUNCTION, HOUR, command, fill
from tests.harness.valkey_store import back_up, compared, restored, source_of, taken_at_source


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work(scratch=tmp_path_factory.mktemp("scratch"), stall_timeout=60, jobs=2)


@dataclass(frozen=True)
class Copy:
    """A backup of everything, and a disposable server that it was restored into."""

    backed_up: MemorySource
    target: Target
    work: Work

    def compared(self, at: datetime | None = None) -> Comparison:
        return compared(self.backed_up, self.target, self.work, at)

    def reload(self) -> None:
        with self.backed_up.open("data") as stream:
            load_stream(stream, self.target, self.work)


@pytest.fixture(scope="module")
def copy(_worker_server: ValkeyServer, work: Work) -> Iterator[Copy]:
    with _worker_server.client() as client:
        client.flushall()
        fill(client)
        backed_up = back_up(source_of(_worker_server), work)
        client.flushall()
        client.function_flush()
        client.acl_deluser("reader")
    with restored(backed_up, work) as target:
        yield Copy(backed_up, target, work)


def test_every_type_comes_back_equal(copy: Copy) -> None:
    comparison = copy.compared()

    assert comparison.differences == ()
    assert comparison.level == "exact"
    assert {item.kind for item in taken_at_source(copy.backed_up).items} == {
        *("strings", "lists", "sets", "hashes", "hash fields", "sorted sets", "streams"),
        *("functions", "ACL users"),
    }


def test_every_key_of_every_database_is_counted(copy: Copy) -> None:
    with connect(copy.target) as client:
        there = sum(about["keys"] for about in _keyspace(client))
    apart = {"hash fields", "functions", "ACL users"}
    items = taken_at_source(copy.backed_up).items
    counted = sum(item.count or 0 for item in items if item.kind not in apart)
    of_expiring_fields_only = 1
    assert counted == there - of_expiring_fields_only


def _keyspace(client: Any) -> list[dict[str, int]]:  # noqa: ANN401  as the client has it
    return list(client.info("keyspace").values())


def test_a_value_read_in_pieces_has_the_same_digest(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_SMALL", 0)
    monkeypatch.setattr(keys, "_MOST_MEMBERS", 100)
    monkeypatch.setattr(keys, "_PIECE", 64 * 1024)
    comparison = copy.compared()
    assert comparison.differences == ()
    assert comparison.level == "exact"


ALTERATIONS: dict[str, tuple[str, Sequence[tuple[Any, ...]]]] = {
    "string": ("strings", [("SET", "string", "valuE")]),
    "string appended": ("strings", [("APPEND", "string", "!")]),
    "last byte of a large string": ("strings", [("SETRANGE", "large string", 3145734, "!!!")]),
    "key renamed": ("strings", [("RENAME", "string", "strinG")]),
    "key gone": ("strings", [("DEL", "empty value")]),
    "key added": ("strings", [("SET", "another", "")]),
    "expiry given": ("strings", [("EXPIRE", "number", 30 * HOUR)]),
    "expiry taken": ("strings", [("PERSIST", "session")]),
    "type changed": ("strings", [("DEL", "string"), ("RPUSH", "string", "value")]),
    "other database": ("strings", [("MOVE", "number", 3)]),
    "list order": ("lists", [("LSET", "list", 0, "a"), ("LSET", "list", 1, "b")]),
    "list of other cuts": ("lists", [("LSET", "list", 0, "ba"), ("LREM", "list", 1, "a")]),
    "large list": ("lists", [("LSET", "large list", 5000, "x")]),
    "set": ("sets", [("SREM", "set", "x"), ("SADD", "set", "z")]),
    "large set": ("sets", [("SREM", "large set", f"{1:060}"), ("SADD", "large set", "x")]),
    "hash value": ("hashes", [("HSET", "hash", "field", "valuE")]),
    "hash field swapped": ("hashes", [("HSET", "hash", "field", "empty name", "", "value")]),
    "large hash": ("hashes", [("HSET", "large hash", f"{0:030}", "x")]),
    "field's expiry taken": ("hash fields", [("HPERSIST", "cache", "FIELDS", 1, "day")]),
    "expiring field's value": (
        "hash fields",
        [("HSETEX", "cache", "KEEPTTL", "FIELDS", 1, "day", "x")],
    ),
    "score": ("sorted sets", [("ZADD", "exact", "0.3", "a")]),
    "scores swapped": ("sorted sets", [("ZADD", "scores", "inf", "least", "-inf", "most")]),
    "large sorted set": ("sorted sets", [("ZINCRBY", "large scores", "1e-9", f"{5:060}")]),
    "stream entry gone": ("streams", [("XDEL", "stream", "2-1")]),
    "stream entry added": ("streams", [("XADD", "stream", "3-1", "a", 1)]),
    "last id of an emptied stream": ("streams", [("XSETID", "emptied", "9-9")]),
    "group gone": ("streams", [("XGROUP", "DESTROY", "stream", "idle")]),
    "group moved": ("streams", [("XGROUP", "SETID", "stream", "idle", "1-1")]),
    "acknowledged": ("streams", [("XACK", "stream", "workers", "1-1")]),
    "claimed": (
        "streams",
        [("XCLAIM", "stream", "workers", "two", 0, "1-1")],
    ),
    "large stream": ("streams", [("XDEL", "large stream", "7000-0")]),
    "pending in a large stream": ("streams", [("XACK", "large stream", "readers", "3-0")]),
    "function": (
        "functions",
        [("FUNCTION", "LOAD", "REPLACE", FUNCTION.replace("return 1", "return 2"))],
    ),
    "functions gone": ("functions", [("FUNCTION", "FLUSH")]),
    "ACL user's rights": ("ACL users", [("ACL", "SETUSER", "reader", "+set")]),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_every_alteration_of_the_copy_is_found(copy: Copy, name: str) -> None:
    kind, commands = ALTERATIONS[name]
    copy.reload()
    with connect(copy.target) as client:
        for words in commands:
            command(client, *words)
    comparison = copy.compared()
    if name.startswith("ACL"):
        with connect(copy.target) as client:
            command(client, "ACL", "DELUSER", "reader")
        restore_users(copy.backed_up, copy.target)

    assert kind in {difference.kind for difference in comparison.differences}
    assert judge_content(comparison).verdict is Verdict.FAILED


def test_what_will_have_expired_is_counted_and_what_lasts_is_proven(copy: Copy) -> None:
    copy.reload()
    in_a_month = datetime.now(UTC) + timedelta(days=30)
    comparison = copy.compared(in_a_month)

    assert judge_content(comparison).verdict is Verdict.PASSED
    expired = [u.reason for u in comparison.unproven if "expired" in u.reason]
    assert sorted(expired) == [
        "1 hash fields expired, not provable",
        "1 hash fields expired, not provable",
        "1 hash fields expired, not provable",
        "1 strings expired, not provable",
        "1 strings expired, not provable",
    ]


def test_a_server_that_holds_nothing_else_than_what_expired_is_not_proven(
    valkey_server: ValkeyServer, work: Work
) -> None:
    with valkey_server.client() as client:
        client.set("token", "x", ex=60)
    backed_up = back_up(source_of(valkey_server), work)
    with restored(backed_up, work) as target:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        comparison = compared(backed_up, target, work, tomorrow)
    assert judge_content(comparison).verdict is Verdict.INCONCLUSIVE


def test_keys_and_fields_that_expire_between_backup_and_check_are_no_red(
    valkey_server: ValkeyServer, work: Work
) -> None:
    """Whatever is gone already when the fingerprint is taken, or when the copy is made."""
    with valkey_server.client() as client:
        client.set("lasting", "x")
        for n in range(200):
            client.set(f"short {n}", "x", px=1 + n * 15)
        client.hset("fields", mapping={str(n): n for n in range(200)})
        for n in range(199):
            command(client, "HPEXPIRE", "fields", 1 + n * 15, "FIELDS", 1, n)
    backed_up = back_up(source_of(valkey_server), work)
    with restored(backed_up, work) as target:
        comparison = compared(backed_up, target, work)
    assert comparison.differences == ()
    assert judge_content(comparison).verdict is Verdict.PASSED
    assert any("expired, not provable" in unproven.reason for unproven in comparison.unproven)
