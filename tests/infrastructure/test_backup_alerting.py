"""Whom a verifier tells, and of what."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_lib import BackupVerifier
from backup_lib.model import Rung, RungResult
from restoreproof.errors import JudgedBad, Unreachable
from restoreproof.events import Event, Warned
from restoreproof.verdict import Verdict
from tests.harness.alert_channels import SECRET
from tests.harness.recording import RecordingChannel


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [
        ("the dump job has not run", Verdict.FAILED, "the dump job has not run"),
        (JudgedBad("it is cut", hint="use another"), Verdict.FAILED, "it is cut"),
        (Unreachable("the host is away"), Verdict.INCONCLUSIVE, "the host is away"),
        (OSError(5, "Input/output error"), Verdict.INCONCLUSIVE, "Input/output error"),
        (RungResult(Rung.SIZE, Verdict.FAILED, "3 bytes"), Verdict.FAILED, "3 bytes"),
    ],
)
def test_an_alert_may_be_a_sentence_an_exception_or_a_result(
    error: str | Exception | RungResult, verdict: Verdict, reason: str
) -> None:
    pager = RecordingChannel()
    verifier = BackupVerifier(channels={"pager": pager})
    assert verifier.send_alert(error) is True
    assert verifier.send_alert(error) is True  # nothing is held back
    assert [alert.verdict for alert in pager.alerts] == [verdict, verdict]
    assert reason in pager.alerts[0].reason


def test_an_alert_says_which_rung_and_backup_it_is_about(tmp_path: Path) -> None:
    pager = RecordingChannel()
    verifier = BackupVerifier(channels={"pager": pager})
    verifier.send_alert("something is wrong")
    verifier.check_exists(tmp_path / "orders.dump")
    verifier.send_alert("something is wrong")
    verifier.send_alert(verifier.last)
    (tmp_path / "b.sql").touch()
    verifier = BackupVerifier(channels={"pager": pager}, state=tmp_path)
    (tmp_path / "good.json").write_text("1\n")
    entries = {"good": tmp_path / "good.json", "orders": tmp_path / "b.sql"}
    verifier.verify_all(entries, depth="size")
    verifier.send_alert(verifier.last)
    assert [(alert.set, alert.rung) for alert in pager.alerts] == [
        ("backup", "message"),
        ("orders.dump", "exists"),
        ("orders.dump", "exists"),
        ("orders", "size"),
        ("orders", "size"),
    ]


def test_a_channel_that_is_down_costs_no_verdict_and_a_second_one_is_told(tmp_path: Path) -> None:
    events: list[Event] = []
    broken, pager = RecordingChannel(), RecordingChannel()
    broken.failure = RuntimeError(f"a bug that shows {SECRET}")
    verifier = BackupVerifier(
        channels={"broken": broken, "pager": pager}, state=tmp_path, emit=events.append
    )
    assert verifier.verify_all({"orders": tmp_path / "x.dump"}) == {"orders": False}
    assert verifier.send_alert("still missing") is True
    assert len(pager.alerts) == 2
    pager.down()
    assert verifier.send_alert("still missing") is False
    assert SECRET not in str(events)


def test_without_a_channel_nobody_is_told_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTOREPROOF_CONFIG", raising=False)
    events: list[Event] = []
    verifier = BackupVerifier(emit=events.append)
    assert verifier.send_alert("something") is False
    (tmp_path / "restoreproof.toml").write_text("[alert.pager]\nkind = 'pidgeon'\n")
    assert BackupVerifier(emit=events.append).send_alert("something") is False
    assert verifier.send_alert(None) is False
    assert len([event for event in events if isinstance(event, Warned) and event.hint]) == 3
    assert "nobody was told" in str(events[0])
