"""How verdicts, sizes and names from outside look in every report."""

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


def size(count: int) -> str:
    """Bytes for people, in powers of 1024: ``813 B``, ``4.1 MiB``."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1024 or unit == "TiB":
            break
    return f"{value:.1f} {unit}"


def plain(text: str) -> str:
    """``text`` from outside without control characters, so that it cannot steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
