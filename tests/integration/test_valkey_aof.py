"""The append-only file of a Valkey server as a backup: exact while it is written to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import valkey

from backup_lib.stores.valkey.roles import LOG_BASE_ROLE, LOG_INCREMENT_ROLE, LOG_MANIFEST_ROLE
from backup_lib.work import Work
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import command, fill
from tests.harness.valkey_store import back_up, compared, restored, source_of

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


def test_it_is_exact_while_it_is_written_to(server: ValkeyServer, work: Work) -> None:
    put_all(server)
    rewrite(server)

    def write(client: valkey.Valkey, n: int) -> None:
        client.incr("counter")
        client.publish("news", "x")
        with client.pipeline(transaction=True) as pipe:
            pipe.select(n % 3)
            pipe.rpush("queue", n)
            pipe.publish("news", "y")
            pipe.set(f"key {n % 100}", n, ex=90_000)
            pipe.execute()  # type: ignore[no-untyped-call]

    with written_to(server, write):
        time.sleep(0.2)
        backed_up = back_up(source_of(server, **AOF), work)
    with restored(backed_up, work) as target:
        comparison = compared(backed_up, target, work)
    assert comparison.differences == ()
    assert comparison.level == "exact"
