"""Whom an error of a restore blames: messages of real servers, and where they must lead."""

from __future__ import annotations

import pytest

from backup_lib.model import Target
from backup_lib.stores.postgres import judgement
from backup_lib.stores.postgres.allowlist import ToolError
from restoreproof.errors import Inconclusive, JudgedBad, RestoreproofError, Unreachable

TARGET = Target("postgres", {"dbname": "copy"}, disposable=True)


@pytest.mark.parametrize(
    ("message", "blames"),
    [
        ('invalid value for parameter "lc_time": "de_DE.UTF-8"', Inconclusive),
        ('invalid value for parameter "TimeZone": "US/Eastern"', Inconclusive),
        ('invalid value for parameter "default_toast_compression": "lz4"', Inconclusive),
        ('unrecognized configuration parameter "old_snapshot_threshold"', Inconclusive),
        ("unsupported version (1.17) in file header", Inconclusive),
        ("cannot restore (this build does not support compression with zstd)", Inconclusive),
        ("pg_cron can only be loaded via shared_preload_libraries", Inconclusive),
        ('extension "timescaledb" must be preloaded', Inconclusive),
        ("can only create extension in database postgres", Inconclusive),
        ('could not read blocks 3..3 in file "base/5/1249": Input/output error', Unreachable),
        ('could not open file "base/5/1249": Too many open files', Unreachable),
        ('duplicate key value violates unique constraint "t_pkey"', JudgedBad),
        ('invalid input syntax for type integer: "5x"', JudgedBad),
        ('could not create unique index "t_lower_idx"', JudgedBad),
    ],
)
def test_a_server_that_is_not_made_for_a_backup_does_not_blame_it(
    message: str, blames: type[RestoreproofError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgement, "is_alive", lambda _target: True)
    error = judgement.verdict(ToolError(message, ""), f"pg_restore: error: {message}", TARGET)
    assert type(error) is blames


def test_a_unique_index_under_another_locale_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "is_alive", lambda _target: True)
    error = ToolError('could not create unique index "t_lower_idx"', "")
    assert isinstance(judgement.verdict(error, "", TARGET, other_locale=True), Inconclusive)
