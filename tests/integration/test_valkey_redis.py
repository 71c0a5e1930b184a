"""Against the distribution's Redis: an older format, read by Valkey."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

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


@pytest.fixture
def redis(make_valkey_server: MakeValkeyServer) -> ValkeyServer:
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("no Redis server of the distribution: run .ci/setup")
    server = make_valkey_server(program=Path(found))
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
