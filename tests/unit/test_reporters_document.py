"""The one JSON document of a task, and the lines of events: what programs read."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backup_lib.model import Rung, RungResult, StoreVerification
from restoreproof.clock import MovableClock
from restoreproof.errors import (
    ConfigError,
    Inconclusive,
    InternalError,
    Interrupted,
    JudgedBad,
    LockHeld,
    NoSpace,
    RestoreproofError,
    Unreachable,
    UsageError,
)
from restoreproof.events import StepFinished, StepProgress, StepStarted, Warned
from restoreproof.exit_codes import ExitCode
from restoreproof.reporters.document import encode, error_text, result_text
from restoreproof.reporters.jsonlines import JsonLines
from restoreproof.secrets import Secret
from restoreproof.verdict import Verdict

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def document(text: str) -> dict[str, Any]:
    parsed = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(parsed, dict)
    return parsed


def test_a_result_has_format_task_verdict_and_exit_code() -> None:
    rung = RungResult(Rung.SIZE, Verdict.FAILED, "3 bytes stored", "look at the source")
    store = StoreVerification("orders", "postgres", (rung,))
    text = result_text(
        "backup.verify",
        (store,),
        verdict=Verdict.FAILED,
        exit_code=ExitCode.BAD,
        warnings=(Warned("slow", hint="wait", details=("a", "b")),),
    )
    said = document(text)
    assert (said["format"], said["version"], said["task"]) == (
        "restoreproof/result",
        1,
        "backup.verify",
    )
    assert (said["verdict"], said["exit_code"]) == ("failed", 1)
    assert said["warnings"] == [{"message": "slow", "hint": "wait", "details": ["a", "b"]}]
    (told,) = said["result"]
    assert told["verdict"] == "failed"  # a property, and told all the same
    assert told["rungs"][0]["reason"] == "3 bytes stored"
    assert "error" not in said


def test_where_nothing_was_judged_the_verdict_is_null() -> None:
    said = document(result_text("backup.list", [], verdict=None, exit_code=ExitCode.OK))
    assert (said["verdict"], said["exit_code"], said["result"]) == (None, 0, [])


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (JudgedBad("m", hint="h"), "failed", 1),
        (Inconclusive("m", hint="h"), "inconclusive", 2),
        (UsageError("m", hint="h"), None, 3),
        (ConfigError("m", hint="h", path=Path("x.toml"), key="a", line=3), None, 3),
        (LockHeld("m", hint="h"), None, 4),
        (Unreachable("m", hint="h"), None, 5),
        (NoSpace("m", hint="h"), None, 6),
        (InternalError("m", hint="h"), None, 7),
        (Interrupted("m", hint="h"), None, 130),
    ],
)
def test_an_error_has_type_message_hint_and_exit_code_instead_of_a_result(
    error: RestoreproofError, verdict: str | None, code: int
) -> None:
    said = document(error_text("backup.run", error))
    assert said["error"] == {
        "type": type(error).__name__,
        "message": "m",
        "hint": "h",
        "exit_code": code,
    }
    assert (said["verdict"], said["exit_code"]) == (verdict, code)
    assert "result" not in said


@dataclass
class Everything:
    moment: datetime = NOON
    day: date = date(2026, 3, 1)
    span: timedelta = timedelta(minutes=1.5)
    path: Path = Path("/x/ü")
    rung: Rung = Rung.FRESH
    code: ExitCode = ExitCode.REFUSED
    names: frozenset[str] = frozenset({"b", "a"})
    table: dict[Rung, object] = field(default_factory=lambda: {Rung.SIZE: (1, None, True)})
    nan: float = float("nan")
    endless: float = float("inf")


def test_every_kind_of_value_has_one_form() -> None:
    assert encode(Everything()) == {
        "moment": "2026-03-01T12:00:00.000000Z",
        "day": "2026-03-01",
        "span": 90.0,
        "path": "/x/ü",
        "rung": "fresh",
        "code": 4,
        "names": ["a", "b"],
        "table": {"size": [1, None, True]},
        "nan": None,
        "endless": None,
    }


@pytest.mark.parametrize("value", [b"bytes", object(), Everything, {1: "x"}, Secret("abcdef")])
def test_what_has_no_form_is_an_error_and_never_guessed(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        encode(value)
    assert "abcdef" not in str(caught.value)


def test_secrets_are_scrubbed_from_values_keys_and_errors() -> None:
    value = Secret("planted-Zq81-document").reveal()
    text = result_text(
        "t",
        {f"key {value}": [f"value {value}", Path(f"/tmp/{value}")]},
        verdict=None,
        exit_code=ExitCode.OK,
        warnings=(Warned(value),),
    ) + error_text("t", UsageError(f"bad {value}", hint=value))
    assert value not in text
    assert text.count("[redacted]") == 6


def test_control_characters_are_escaped_by_json_itself() -> None:
    text = result_text("t", "\x1b[31m\u202e\x00", verdict=None, exit_code=ExitCode.OK)
    assert text.isascii()
    assert "\x1b" not in text
    assert document(text)["result"] == "\x1b[31m\u202e\x00"


# ── events as JSON lines ────────────────────────────────────────────────────────────────────────


def test_events_are_one_object_a_line() -> None:
    stream = io.StringIO()
    reporter = JsonLines(stream, MovableClock(NOON))
    reporter(StepStarted("s", "a\ntitle", 10))
    reporter(Warned("careful", "hint", ("one",)))
    reporter(StepFinished("s", ok=True, outcome="done", seconds=0.5))
    lines = [document(line) for line in stream.getvalue().splitlines()]
    at = "2026-03-01T12:00:00.000000Z"
    assert lines == [
        {"event": "step-started", "at": at, "step": "s", "title": "a\ntitle", "total": 10,
         "unit": "bytes"},
        {"event": "warned", "at": at, "message": "careful", "hint": "hint", "details": ["one"]},
        {"event": "step-finished", "at": at, "step": "s", "ok": True, "outcome": "done",
         "seconds": 0.5},
    ]  # fmt: skip


def test_progress_is_told_at_most_once_a_second_and_step() -> None:
    stream, clock = io.StringIO(), MovableClock(NOON)
    reporter = JsonLines(stream, clock)
    for done in range(5):
        reporter(StepProgress("a", done))
        reporter(StepProgress("b", done))
        clock.move(timedelta(seconds=0.5))
    told = [document(line) for line in stream.getvalue().splitlines()]
    assert [(one["step"], one["done"]) for one in told] == [
        (step, done) for done in (0, 2, 4) for step in ("a", "b")
    ]


def test_a_stream_that_broke_is_given_up_and_the_run_goes_on() -> None:
    class Full(io.StringIO):
        calls = 0

        def write(self, text: str) -> int:
            self.calls += 1
            raise OSError(28, f"no space for {len(text)} characters")

    stream = Full()
    reporter = JsonLines(stream)
    for _ in range(3):
        reporter(Warned("x"))
    assert reporter.broken
    assert stream.calls == 1
