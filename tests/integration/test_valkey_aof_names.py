"""Names of commands in an append-only file that no other server knows: never blamed on a backup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backup_lib.stores.valkey.roles import LOG_INCREMENT_ROLE
from backup_lib.stores.valkey.source import ValkeySource
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad, Refused
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import command
from tests.harness.valkey_store import back_up, compared, documented_user, restored, source_of

AOF = {"format": "aof"}
RENAMED = ("--appendonly", "yes", "--rename-command", "SET", "MYSET")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture
def as_documented_user(monkeypatch: pytest.MonkeyPatch) -> Callable[[ValkeyServer], ValkeySource]:
    """A source with no more rights than the runbook gives it: it may not ask for commands."""
    monkeypatch.setenv("PASSWORD", "pass-Zk3")

    def source(server: ValkeyServer) -> ValkeySource:
        with server.client() as client:
            command(client, "ACL", "SETUSER", *documented_user("backup", "pass-Zk3"))
        user = {"username": "backup", "password": {"env": "PASSWORD"}}
        return source_of(server, **AOF, **user, aof_folder=str(server.home))

    return source


@pytest.mark.parametrize("fingerprint", [True, False])
def test_renamed_commands_are_refused_before_anything_is_stored(
    make_valkey_server: MakeValkeyServer, work: Work, fingerprint: bool
) -> None:
    server = make_valkey_server(*RENAMED)
    with server.client() as client:
        command(client, "MYSET", "key", "value")
    with pytest.raises(Refused, match="holds MYSET") as refused:
        back_up(source_of(server, **AOF), work, fingerprint=fingerprint)
    assert 'format = "rdb"' in refused.value.hint


def test_commands_that_are_renamed_and_not_in_the_file_are_no_hindrance(
    make_valkey_server: MakeValkeyServer, work: Work
) -> None:
    server = make_valkey_server(*RENAMED, "--rename-command", "FLUSHALL", "")
    with server.client() as client:
        client.rpush("list", "a", "b")
    backed_up = back_up(source_of(server, **AOF), work)
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"


@pytest.mark.parametrize("fingerprint", [True, False])
def test_where_the_source_may_not_be_asked_they_are_inconclusive(
    make_valkey_server: MakeValkeyServer,
    as_documented_user: Callable[[ValkeyServer], ValkeySource],
    work: Work,
    fingerprint: bool,
) -> None:
    server = make_valkey_server(*RENAMED)
    with server.client() as client:
        command(client, "MYSET", "key", "value")
    backed_up = back_up(as_documented_user(server), work, fingerprint=fingerprint)
    with (
        pytest.raises(Inconclusive, match="does not know its commands MYSET"),
        restored(backed_up, work),
    ):
        pass


def test_a_garbled_name_is_bad_also_where_the_source_may_not_be_asked(
    make_valkey_server: MakeValkeyServer,
    as_documented_user: Callable[[ValkeyServer], ValkeySource],
    work: Work,
) -> None:
    server = make_valkey_server("--appendonly", "yes")
    with server.client() as client:
        client.set("key", "value")
    backed_up = back_up(as_documented_user(server), work)
    with restored(backed_up, work) as target:
        assert compared(backed_up, target, work).level == "exact"
    data = backed_up.data(LOG_INCREMENT_ROLE)
    backed_up.damage(LOG_INCREMENT_ROLE, data.replace(b"SET", b"SEU", 1))
    with pytest.raises(JudgedBad), restored(backed_up, work):
        pass
