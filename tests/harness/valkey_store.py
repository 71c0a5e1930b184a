"""Backups of a Valkey server without a set around them, and copies of it to compare with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from backup_lib.model import Comparison, Fingerprint, Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.valkey.restorer import ValkeyRestorer
from backup_lib.stores.valkey.settings import ValkeyStoreSettings
from backup_lib.stores.valkey.source import ValkeySource
from backup_lib.work import Work
from tests.harness import comparing
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.valkey import ValkeyServer

RUNBOOK = Path(__file__).parents[2] / "docs" / "RUNBOOK-BACKUP-RESTORE.md"


def documented_user(name: str, password: str) -> list[str]:
    """The rules that the runbook gives a user, as words for ``ACL SETUSER``."""
    (rules,) = re.findall(rf"^ACL SETUSER ({name} .*)$", RUNBOOK.read_text(), re.MULTILINE)
    return str(rules).replace("PASSWORD", password).split()


def source_of(server: ValkeyServer | str, **settings: object) -> ValkeySource:
    """A source with those settings; over the server's socket unless a URL is given."""
    url = server if isinstance(server, str) else server.unix_url
    model = ValkeyStoreSettings.model_validate({"url": url, **settings})
    return ValkeySource("sessions", model, Path("/"))


def back_up(source: ValkeySource, work: Work, *, fingerprint: bool = True) -> MemorySource:
    """A backup kept in memory."""
    kept = MemorySet()
    backup = source.backup(kept.sink(), work, fingerprint=fingerprint)
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


def taken_at_source(backed_up: MemorySource) -> Fingerprint:
    """The fingerprint in the backup."""
    return comparing.taken_at_source(backed_up.record)


def compared(
    backed_up: MemorySource, target: Target, work: Work, at: datetime | None = None
) -> Comparison:
    """The copy in ``target`` against the fingerprint of the source."""
    return comparing.compared(ValkeyRestorer(), backed_up.record, target, work, at)
