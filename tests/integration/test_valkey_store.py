"""Backups of a real Valkey server, restored into disposable ones, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backup_lib.comparison import compare
from backup_lib.model import Comparison, Rung, Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.services.rehearsal import judge_content
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.restorer import ValkeyRestorer
from backup_lib.stores.valkey.settings import ValkeyStoreSettings
from backup_lib.stores.valkey.source import ValkeySource
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad, Refused, Unreachable
from restoreproof.verdict import Verdict
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import command, fill


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


def source_of(server: ValkeyServer, **settings: Any) -> ValkeySource:
    given = {"url": server.unix_url, **settings}
    return ValkeySource("sessions", ValkeyStoreSettings.model_validate(given), Path("/"))


def back_up(server: ValkeyServer, work: Work, *, fingerprint: bool = True) -> MemorySource:
    kept = MemorySet()
    backup = source_of(server).backup(kept.sink(), work, fingerprint=fingerprint)
    return kept.finish(backup, name="sessions", kind="valkey")


@contextmanager
def restored(backed_up: MemorySource, work: Work) -> Iterator[Target]:
    """A disposable server with the copy in it."""
    restorer = ValkeyRestorer()
    sandbox = ProcessSandbox()
    recipe = restorer.recipe(backed_up.record)
    assert restorer.gaps(backed_up.record, sandbox.offers(recipe)) == ()
    with sandbox.start(recipe, work) as server:
        options = RestoreOptions(globals=True)
        yield restorer.restore(backed_up, server.target, options, work).target


def compared(
    backed_up: MemorySource, target: Target, work: Work, at: datetime | None = None
) -> Comparison:
    taken = backed_up.record.backup.fingerprint
    assert taken is not None
    found = ValkeyRestorer().fingerprint(backed_up.record, target, work)
    return compare(taken, found, at or datetime.now(UTC))


def test_every_type_comes_back_equal(valkey_server: ValkeyServer, work: Work) -> None:
    with valkey_server.client() as client:
        fill(client)
    backed_up = back_up(valkey_server, work)
    with restored(backed_up, work) as target:
        comparison = compared(backed_up, target, work)

    assert comparison.differences == ()
    assert comparison.level == "exact"
    taken = backed_up.record.backup.fingerprint
    assert taken is not None
    assert {item.kind for item in taken.items} == {
        *("strings", "lists", "sets", "hashes", "hash fields", "sorted sets", "streams"),
        *("functions", "ACL users"),
    }
    with valkey_server.client() as client:
        keys = sum(about["keys"] for about in client.info("keyspace").values())  # type: ignore[union-attr]
    hashes_of_fields_only = 1
    counted = sum(
        item.count or 0
        for item in taken.items
        if item.kind not in {"hash fields", "functions", "ACL users"}
    )
    assert counted == keys - hashes_of_fields_only
