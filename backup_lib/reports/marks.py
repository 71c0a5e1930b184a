"""How verdicts look in every report."""

from __future__ import annotations

from rich.text import Text

from restoreproof.verdict import Verdict

_MARKS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.FAILED: ("✗", "bold red"),
    Verdict.INCONCLUSIVE: ("?", "yellow"),
}


def mark(verdict: Verdict) -> Text:
    """One character for a verdict; colour only repeats what it says."""
    return Text(*_MARKS[verdict])


def verdict_word(verdict: Verdict) -> Text:
    """The verdict as a word, coloured."""
    return Text(str(verdict).upper(), _MARKS[verdict][1])
