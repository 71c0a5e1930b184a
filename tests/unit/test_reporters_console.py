"""Progress for people: on a terminal, in a file, in CI, in quiet, and on a stream that is gone."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping

import pytest

from restoreproof.events import Event, StepFinished, StepProgress, StepStarted, Warned
from restoreproof.redaction import redact
from restoreproof.reporters.console import ConsoleReporter, amount
from restoreproof.reporters.errors import crashed, print_error
from restoreproof.reporters.text import one_line, plain
from restoreproof.secrets import Secret

STORY: tuple[Event, ...] = (
    StepStarted("orders:restore", "Restoring orders", total=4096),
    StepProgress("orders:restore", 1024),
    StepProgress("orders:restore", 4096),
    StepFinished("orders:restore", ok=True, outcome="12 tables", seconds=1.25),
)
HOSTILE = "evil\x1b]0;owned\x07\x1b[31m\u202egnp.exe\r\x9b2J"


class Stream(io.StringIO):
    """A text stream that says of itself what a test wants."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal = terminal
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # io.StringIO has None
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


def told(
    *events: Event,
    terminal: bool = False,
    encoding: str = "utf-8",
    quiet: bool = False,
    environ: Mapping[str, str] | None = None,
) -> str:
    stream = Stream(terminal=terminal, encoding=encoding)
    with ConsoleReporter(stream, quiet=quiet, environ=environ or {}) as reporter:
        for event in events:
            reporter(event)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def _a_good_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_terminal_every_step_is_two_plain_lines() -> None:
    assert told(*STORY) == "→ Restoring orders\n✓ Restoring orders: 12 tables (1.2 s)\n"


def test_a_stream_that_knows_no_unicode_gets_none() -> None:
    failed = StepFinished("orders:restore", ok=False)
    said = told(STORY[0], failed, Warned("slow", hint="wait"), encoding="ascii")
    assert said == "- Restoring orders\nx Restoring orders\nwarning: slow\n  -> wait\n"
    assert said.isascii()


def test_a_terminal_shows_a_bar_with_amount_and_takes_it_down_again() -> None:
    said = told(*STORY[:3], terminal=True)
    assert "4.0 KiB of 4.0 KiB" in said
    assert "\x1b[?25l" in said  # the cursor is hidden meanwhile
    assert said.rstrip().endswith("\x1b[?25h") or said.rfind("\x1b[?25h") > said.rfind("\x1b[?25l")


def test_ci_and_dumb_terminals_get_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    plainly = told(*STORY)
    assert told(*STORY, terminal=True, environ={"CI": "true"}) == plainly
    monkeypatch.setenv("TERM", "dumb")
    assert re.sub(r"\x1b\[\d*m", "", told(*STORY, terminal=True)) == plainly


def test_ci_that_is_switched_off_is_no_ci() -> None:
    assert "\x1b[" in told(*STORY, terminal=True, environ={"CI": "false"})


def test_no_color_is_obeyed() -> None:
    said = told(*STORY, terminal=True, environ={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[(3\d|38;[\d;]+)m", said)


def test_quiet_tells_warnings_only() -> None:
    warned = Warned("the disk is nearly full", hint="make room", details=("3 GiB left",))
    said = told(*STORY, warned, quiet=True)
    assert said == "warning: the disk is nearly full\n   3 GiB left\n  → make room\n"
    assert told(*STORY, quiet=True, terminal=True) == ""


def test_a_finish_without_a_start_is_told_by_its_name() -> None:
    assert told(StepFinished("orphan", ok=False, outcome="lost")) == "✗ orphan: lost\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_names_cannot_steer_the_terminal(terminal: bool) -> None:
    said = told(
        StepStarted("s", HOSTILE),
        StepProgress("s", 1),
        StepFinished("s", ok=True, outcome=HOSTILE),
        Warned(HOSTILE, hint=HOSTILE, details=(HOSTILE,)),
        terminal=terminal,
    )
    for steering in ("\x1b]0;", "\x07", "\u202e", "\x9b"):
        assert steering not in said
    assert said.count("\\x1b]0;owned\\x07") >= 5


def test_markup_in_names_is_only_text() -> None:
    assert "[bold]x[/bold] :smile:" in told(StepStarted("s", "[bold]x[/bold] :smile:"))


def test_secrets_are_told_nowhere() -> None:
    secret = Secret("planted-Zq81-console")
    value = secret.reveal()
    said = told(
        StepStarted("s", f"connecting with {value}"),
        StepFinished("s", ok=False, outcome=f"refused {value}"),
        Warned(f"{value} is weak", hint=f"change {value}", details=(f"it was {value}",)),
    )
    assert value not in said
    assert said.count("[redacted]") == 6  # the title stands in the line that ends it too


class Breaking(Stream):
    """Breaks for good after some writes."""

    def __init__(self, after: int, error: OSError, *, terminal: bool) -> None:
        super().__init__(terminal=terminal)
        self._left = after
        self._error = error

    def write(self, text: str) -> int:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return super().write(text)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("after", [0, 1, 2, 5])
@pytest.mark.parametrize("error", [BrokenPipeError(32, "gone"), OSError(5, "no terminal")])
def test_a_stream_that_breaks_does_not_break_the_run(
    terminal: bool, after: int, error: OSError
) -> None:
    before = set(threading.enumerate())
    stream = Breaking(after, error, terminal=terminal)
    with ConsoleReporter(stream, environ={}) as reporter:
        for event in (*STORY, Warned("still at work"), *STORY):
            reporter(event)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)  # it was told to end
        assert not thread.is_alive()


def test_a_closed_stream_is_no_error() -> None:
    closed = Stream()
    closed.close()
    with ConsoleReporter(closed, environ={}) as reporter:
        reporter(STORY[0])


def test_progress_nobody_reads_ends_no_run_and_hides_no_result() -> None:
    program = (
        "import sys\n"
        "from restoreproof.events import StepStarted\n"
        "from restoreproof.reporters.console import ConsoleReporter\n"
        "sys.stdin.read(1)\n"  # until the reader is gone
        "with ConsoleReporter() as reporter:\n"
        "    reporter(StepStarted('s', 'a step'))\n"
        "print('the result')\n"
    )
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=writing,
    )
    os.close(writing)
    os.close(reading)
    said, _ = child.communicate(b"x", timeout=60)
    assert said == b"the result\n"


def test_many_threads_tell_whole_lines() -> None:
    def tell(reporter: ConsoleReporter, number: int) -> None:
        for _ in range(50):
            reporter(StepStarted(f"{number}", f"step {number}"))

    stream = Stream()
    with ConsoleReporter(stream, environ={}) as reporter:
        threads = [threading.Thread(target=tell, args=(reporter, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 200
    assert set(lines) == {f"→ step {n}" for n in range(4)}


@pytest.mark.parametrize(
    ("count", "unit", "text"),
    [(0, "bytes", "0 B"), (4300000, "bytes", "4.1 MiB"), (336776, "rows", "336,776 rows")],
)
def test_amounts_are_readable(count: int, unit: str, text: str) -> None:
    assert amount(count, unit) == text


# ── text and errors ─────────────────────────────────────────────────────────────────────────────


def test_text_from_elsewhere_keeps_letters_and_loses_steering() -> None:
    assert plain("Ünï 備份\nnext") == "Ünï 備份\nnext"
    assert plain("\x00\x7f\u200b\U000e0001") == "\\x00\\x7f\\u200b\\U000e0001"
    assert one_line("a\n  b\tc") == "a b c"


def test_an_error_is_a_sentence_and_a_hint() -> None:
    from restoreproof.errors import UsageError

    stream = Stream()
    print_error(UsageError(f"no such file {HOSTILE}", hint="look again"), stream)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("error: no such file evil\\x1b]0;")
    assert second == "hint: look again"
    print_error(UsageError("x"), terminal := Stream(terminal=True))
    assert terminal.getvalue() == "\x1b[1;31merror:\x1b[0m x\n"


def test_a_crash_keeps_its_traceback_in_a_file_without_secrets(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("crash")
    value = Secret("planted-Zq81-crash").reveal()
    try:
        raise ZeroDivisionError(f"by {value}")
    except ZeroDivisionError as error:
        ours = crashed(error, folder)
    (file,) = folder.iterdir()
    assert file.name in ours.message
    assert "ZeroDivisionError: by [redacted]" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert value not in ours.message
    assert redact(value) == "[redacted]"


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    program = (
        "from restoreproof.tasking import print_text\n"
        "import time, sys\n"
        "sys.stdin.read(1)\n"  # until the reader is gone
        "print_text('x' * 100000)\n"
        "print_text('again')\n"
    )
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    os.close(reading)
    _, said = child.communicate(b"x", timeout=60)
    assert (child.returncode, said) == (0, b"")
