"""A target that is to be overwritten and would not take the copy keeps what it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.valkey.restorer import ValkeyRestorer
from backup_lib.work import Work
from restoreproof.errors import Refused
from tests.harness.valkey import MakeValkeyServer
from tests.harness.valkey_content import command
from tests.harness.valkey_store import back_up, documented_user, source_of

RULES = documented_user("restore", "pass-Zk3")


@pytest.mark.parametrize("lacks", ["RESTORE", "FUNCTION", "a right", "a database"])
def test_what_would_not_be_taken_is_found_before_anything_is_removed(
    make_valkey_server: MakeValkeyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lacks: str,
) -> None:
    monkeypatch.setenv("PASSWORD", "pass-Zk3")
    work = Work(scratch=tmp_path, stall_timeout=60)
    server = make_valkey_server()
    with server.client() as client:
        client.function_load("#!lua name=mine\nserver.register_function('f', function() end)")
        client.set("a", "b")
        client.select(5)
        client.set("c", "d")
    backed_up = back_up(source_of(server), work)
    settings = {
        "a right": ("--save", ""),
        "a database": ("--databases", "4"),
    }
    target = make_valkey_server(*settings.get(lacks, ("--rename-command", lacks, "")))
    rules = [rule for rule in RULES if lacks != "a right" or rule != "+restore"]
    with target.client() as client:
        client.set("mine", "x")
        command(client, "ACL", "SETUSER", *rules)
    user = {"username": "restore", "password": {"env": "PASSWORD"}}
    place = source_of(target, **user).target()
    options = RestoreOptions(overwrite=True)
    with pytest.raises(Refused, match="would take no"):
        ValkeyRestorer().restore(backed_up, place, options, work)
    with target.client() as client:
        assert client.get("mine") == "x"
        assert client.dbsize() == 1
