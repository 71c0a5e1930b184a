"""Taking a backup from a real Valkey server: what it asks of the server, and what stops it."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_lib.model import StoreBackup
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.facts import Info, refuse_unfit
from backup_lib.stores.valkey.rdb import Frame, RdbFrame
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, Interrupted, Refused, Unreachable
from restoreproof.process import Cancellation
from tests.harness.cutting_proxy import cutting_proxy
from tests.harness.leaks import no_leftovers
from tests.harness.memory_set import MemorySet
from tests.harness.tls import Authority, tls_proxy
from tests.harness.valkey import MakeValkeyServer, ValkeyServer, free_port
from tests.harness.valkey_content import fill
from tests.harness.valkey_store import back_up, compared, documented_user, restored, source_of

PASSWORD = "pass-Zk3"
USER = " ".join(documented_user("backup", PASSWORD))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@contextmanager
def user(server: ValkeyServer, rules: str = USER) -> Iterator[None]:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", *rules.split())
        try:
            yield
        finally:
            client.acl_deluser("backup")


def syncs(server: ValkeyServer) -> int:
    with server.client() as client:
        return int(client.info("stats")["sync_full"])


def test_the_artifact_is_the_sources_own_file_of_one_synchronisation(
    valkey_server: ValkeyServer, work: Work
) -> None:
    with valkey_server.client() as client:
        client.set("a", "b")
    earlier, begun = syncs(valkey_server), datetime.now(UTC)
    backed_up = back_up(source_of(valkey_server), work)

    assert syncs(valkey_server) == earlier + 1
    frame = RdbFrame()
    frame.add(backed_up.data("data"))
    assert (frame.magic, frame.judge()) == (b"VALKEY080", Frame.WHOLE)
    backup = backed_up.record.backup
    assert backup.details["format"] == "VALKEY080"
    assert backup.server.version.encode() in backed_up.data("data")[:40]
    assert begun - timedelta(seconds=1) <= backup.moment <= datetime.now(UTC)


def test_a_file_based_synchronisation_does_as_well(
    make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server("--repl-diskless-sync", "no")
    with server.client() as client:
        fill(client)
    backed_up = back_up(source_of(server), work)
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"


def test_written_to_while_it_is_backed_up_and_still_proven_equal(
    valkey_server: ValkeyServer, work: Work
) -> None:
    over, written = threading.Event(), threading.Event()

    def write() -> None:
        with valkey_server.client() as client:
            n = 0
            while not over.is_set():
                n += 1
                client.incr("counter")
                client.rpush("log", n)
                client.hset("state", mapping={"n": n, str(n % 100): n})
                client.set(f"key {n % 500}", n)
                written.set()

    with valkey_server.client() as client:
        client.set("big", random.Random(5).randbytes(5_000_000))
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(30)
        backed_up = back_up(source_of(valkey_server), work)
    finally:
        over.set()
        writer.join()
    with valkey_server.client() as client, restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"
        with connect(target) as copy:
            counted = int(copy.get("counter") or 0)  # type: ignore[arg-type]
            assert counted - copy.llen("log") in {0, 1}  # type: ignore[operator]
        # the source has moved on
        assert counted < int(client.get("counter") or 0)


def test_the_documented_rights_are_enough(
    valkey_server: ValkeyServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    with valkey_server.client() as client:
        client.set("a", "b")
    with user(valkey_server):
        source = source_of(valkey_server.url, username="backup", password={"env": "PASSWORD"})
        assert source.probe().product == "Valkey"
        backed_up = back_up(source, work)
    assert backed_up.data("users").startswith(b"user ")
    assert PASSWORD not in repr(source.target()) + repr(source)


def test_users_that_may_not_be_read_are_named(
    valkey_server: ValkeyServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    with valkey_server.client() as client:
        client.set("a", "b")
    with user(valkey_server, USER.replace(" +acl|list", "")):
        source = source_of(valkey_server.url, username="backup", password={"env": "PASSWORD"})
        backed_up = back_up(source, work)
    assert [a.role for a in backed_up.record.artifacts] == ["data"]
    assert any("+acl|list" in left.reason for left in backed_up.record.backup.not_covered)


@pytest.mark.parametrize(
    ("password", "rules", "says"),
    [
        ("wrong-Zk3", USER, "user or password"),
        (PASSWORD, USER.replace("+psync ", ""), "no permission to replicate"),
        (PASSWORD, USER.replace("+info ", ""), "no permission"),
    ],
)
def test_what_is_refused_is_one_sentence_with_a_hint(
    valkey_server: ValkeyServer,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    rules: str,
    says: str,
) -> None:
    monkeypatch.setenv("PASSWORD", password)
    kept = MemorySet()
    with user(valkey_server, rules), pytest.raises(Unreachable, match=says) as caught:
        source_of(valkey_server.url, username="backup", password={"env": "PASSWORD"}).backup(
            kept.sink(), work
        )
    assert caught.value.hint
    assert password not in str(caught.value)
    assert kept.kept == {}


def test_with_tls_and_a_client_certificate(
    valkey_server: ValkeyServer, work: Work, tmp_path: Path
) -> None:
    with valkey_server.client() as client:
        client.set("big", random.Random(2).randbytes(2_000_000))
    authority = Authority(tmp_path)
    server, client_files = authority.issue("valkey.example"), authority.issue("backup")
    with tls_proxy(server, valkey_server.port, client_authority=authority.file) as port:
        url = f"valkeys://127.0.0.1:{port}"
        with pytest.raises(Unreachable, match="TLS"):
            source_of(url, ca=authority.file).probe()
        backed_up = back_up(
            source_of(
                url,
                ca=authority.file,
                server_name="valkey.example",
                certificate=client_files.certificate,
                key=client_files.key,
            ),
            work,
        )
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"


# ── broken off ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [300_000, 1_000_000, 2_000_000])
@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_stream_that_is_cut_is_never_stored(
    make_valkey_server: MakeValkeyServer, work: Work, after: int, diskless: str
) -> None:
    server = make_valkey_server("--repl-diskless-sync", diskless)
    with server.client() as client:
        client.set("big", random.Random(3).randbytes(2_500_000))
    kept = MemorySet()
    with (
        no_leftovers(),
        cutting_proxy(server.port, after=after) as port,
        pytest.raises(Unreachable, match="broke off"),
    ):
        source_of(f"valkey://127.0.0.1:{port}").backup(kept.sink(), work)
    assert kept.kept == {}


def test_a_server_that_falls_silent_is_found(valkey_server: ValkeyServer, work: Work) -> None:
    with valkey_server.client() as client:
        client.set("big", random.Random(3).randbytes(2_500_000))
    kept = MemorySet()
    with (
        cutting_proxy(valkey_server.port, after=1_000_000, silent=True) as port,
        pytest.raises(Unreachable, match="sent nothing for 1 s"),
    ):
        source_of(f"valkey://127.0.0.1:{port}").backup(kept.sink(), replace(work, stall_timeout=1))
    assert kept.kept == {}


def test_an_interrupted_backup_leaves_nothing(valkey_server: ValkeyServer, work: Work) -> None:
    with valkey_server.client() as client:
        client.set("big", random.Random(3).randbytes(2_500_000))
    kept, cancel = MemorySet(), Cancellation()
    with no_leftovers(), cutting_proxy(valkey_server.port, after=10**6, silent=True) as port:
        timer = threading.Timer(2, cancel.request)
        timer.start()
        with pytest.raises(Interrupted):
            source_of(f"valkey://127.0.0.1:{port}").backup(
                kept.sink(), replace(work, cancel=cancel)
            )
        timer.join()
    assert kept.kept == {}


def test_a_server_that_is_away_is_unreachable(work: Work) -> None:
    with pytest.raises(Unreachable):
        back_up(source_of(f"valkey://127.0.0.1:{free_port()}"), work)


# ── refused ─────────────────────────────────────────────────────────────────────────────────────


def test_a_shard_of_a_cluster_is_refused(make_valkey_server: MakeValkeyServer, work: Work) -> None:
    server = make_valkey_server("--cluster-enabled", "yes")
    with pytest.raises(Refused, match="one shard of a cluster"):
        back_up(source_of(server), work)


def test_a_replica_without_its_primary_is_refused(
    make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server("--replicaof", "127.0.0.1", str(free_port()))
    with pytest.raises(Refused, match="lost its primary"):
        back_up(source_of(server), work)


def test_redis_from_7_4_on_is_refused() -> None:
    info = Info(
        product="Redis",
        version="7.4.1",
        replica=False,
        link_up=True,
        cluster=False,
        modules=(),
        databases={},
        volatile_fields=frozenset(),
        fork_microseconds=0,
        policy="noeviction",
        expired_while_loading=0,
    )
    with pytest.raises(Refused, match=r"Redis 7\.4\.1"):
        refuse_unfit(info, "host:6379")
    refuse_unfit(replace(info, version="7.2.7"), "host:6379")
    refuse_unfit(replace(info, product="Valkey", version="9.1.0"), "host:6379")


def test_without_programs_the_source_is_not_even_asked(
    valkey_server: ValkeyServer, work: Work, tmp_path: Path
) -> None:
    with valkey_server.client() as client:
        client.set("a", "b")
    earlier = syncs(valkey_server)
    source = source_of(valkey_server, programs=tmp_path)
    with pytest.raises(Inconclusive, match="cannot be fingerprinted") as caught:
        back_up(source, work)
    assert "fingerprint = false" in caught.value.hint
    assert syncs(valkey_server) == earlier

    backup: StoreBackup = back_up(source, work, fingerprint=False).record.backup
    assert backup.fingerprint is None


class CountingSink:
    """Keeps nothing but the number of bytes."""

    def __init__(self) -> None:
        self.stored = 0

    def write(self, data: bytes | memoryview) -> None:
        self.stored += len(data)

    @contextmanager
    def open(self, name: str, *, role: str, media_type: str) -> Iterator[CountingSink]:
        assert name
        assert role
        assert media_type
        yield self


def test_our_memory_does_not_grow_with_the_data(valkey_server: ValkeyServer, work: Work) -> None:
    rng = random.Random(4)
    with valkey_server.client() as client:
        for n in range(60):
            client.set(f"string {n}", rng.randbytes(1_000_000))
        client.set("huge", rng.randbytes(10_000_000))
        for _ in range(20):
            client.rpush("list", rng.randbytes(1_000_000))
    sink = CountingSink()
    tracemalloc.start()
    try:
        source_of(valkey_server).backup(sink, work)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.stored > 90_000_000
    assert peak < 16_000_000
