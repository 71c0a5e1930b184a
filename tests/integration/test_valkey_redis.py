"""Against the distribution's Redis: an older format, read by Valkey."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from backup_lib import BackupVerifier
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.valkey.restorer import ValkeyRestorer
from backup_lib.work import Work
from restoreproof.errors import Refused
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import command
from tests.harness.valkey_store import back_up, compared, restored, source_of

pytestmark = pytest.mark.servers


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


def program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        pytest.skip("no Redis server of the distribution: run .ci/setup")
    return Path(found)


@pytest.fixture
def redis(make_valkey_server: MakeValkeyServer) -> ValkeyServer:
    server = make_valkey_server(program=program("redis-server"))
    with server.client() as client:
        client.set("string", "value", ex=86400)
        client.rpush("list", *range(300))
        client.sadd("set", *range(300))
        client.sadd("words", "a", "b")
        client.hset("hash", mapping={str(n): n for n in range(600)})
        client.zadd("scores", {str(n): n / 7 for n in range(300)})
        client.xadd("stream", {"a": 1})
        client.xgroup_create("stream", "workers", "0")
        client.xreadgroup("workers", "one", {"stream": ">"})
        client.function_load("#!lua name=mine\nredis.register_function('f', function() end)")
        command(client, "ACL", "SETUSER", "reader", "on", ">secret-Zk3", "~*", "+@read")
    return server


def test_a_backup_of_redis_keeps_its_format_and_is_proven(redis: ValkeyServer, work: Work) -> None:
    source = source_of(redis)
    assert source.probe().product == "Redis"
    backed_up = back_up(source, work)

    assert re.fullmatch(rb"REDIS00(09|10|11)", backed_up.data("data")[:9])
    assert [need.value for need in backed_up.record.backup.needs] == ["7.2"]
    with restored(backed_up, work) as target:
        comparison = compared(backed_up, target, work)
    assert comparison.differences == ()
    assert comparison.level == "exact"
    assert any(left.kind == "ACL users" for left in comparison.unproven)


def test_an_older_target_is_refused_before_it_is_touched(redis: ValkeyServer, work: Work) -> None:
    backed_up = back_up(source_of(redis), work)
    with pytest.raises(Refused, match="older than the Valkey") as caught:
        ValkeyRestorer().restore(
            backed_up, source_of(redis).target(), RestoreOptions(overwrite=True), work
        )
    assert "by hand" in caught.value.hint
    with redis.client() as client:
        assert client.dbsize() == 7


@pytest.mark.parametrize("of", ["Redis", "Valkey"])
@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_the_append_only_file_of_a_server_under_load_is_proven(
    make_valkey_server: MakeValkeyServer, work: Work, preamble: str, of: str
) -> None:
    """What ``redis-benchmark`` writes: many clients, pipelines, every simple type."""
    server = make_valkey_server(
        *("--appendonly", "yes", "--aof-use-rdb-preamble", preamble),
        program=program("redis-server") if of == "Redis" else None,
    )
    with server.client() as client:
        client.mset({f"key {n}": n for n in range(1000)})
        client.xadd("stream", {"a": 1})
        client.xgroup_create("stream", "workers", "0")
        client.xreadgroup("workers", "one", {"stream": ">"})
        command(client, "BGREWRITEAOF")
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.02)
    load = subprocess.Popen(
        [
            *(str(program("redis-benchmark")), "-s", str(server.socket), "-l", "-q"),
            *("-c", "8", "-P", "4", "-r", "5000", "-n", "20000"),
            *("-t", "set,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,zpopmin,mset"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.5)
        backed_up = back_up(source_of(server, format="aof"), work)
        assert load.poll() is None
    finally:
        load.kill()
        load.wait(20)
    with restored(backed_up, work) as target:
        comparison = compared(backed_up, target, work)
    assert comparison.differences == ()
    assert comparison.level == "exact"


def test_an_append_only_folder_of_redis_is_restored(
    make_valkey_server: MakeValkeyServer, tmp_path: Path
) -> None:
    server = make_valkey_server("--appendonly", "yes", program=program("redis-server"))
    subprocess.run(
        [
            *(str(program("redis-benchmark")), "-s", str(server.socket), "-q"),
            *("-r", "500", "-n", "2000", "-t", "set,incr,lpush,rpush,lpop,sadd,hset,spop,zadd"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    with server.client() as client:
        keys = int(client.dbsize())
        client.shutdown(nosave=True)
    server.process.wait(20)
    verifier = BackupVerifier(channels={}, scratch=tmp_path)
    assert verifier.validate_integrity(server.home / "appendonlydir"), verifier.last
    assert verifier.restore_test(server.home / "appendonlydir"), verifier.last
    assert verifier.row_counts == {"db0": keys}
