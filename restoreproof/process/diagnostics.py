"""What a child said on stderr: its end is kept, made safe to print, and boiled down to one line."""

from __future__ import annotations

import re

TAIL_BYTES = 64 * 1024
_LINE_LIMIT = 400
_TROUBLE = re.compile(r"\b(error|fatal|panic|exception|failed|cannot|could not)\b", re.IGNORECASE)


class Tail:
    """The last 64 KiB of a stream; memory does not grow with what is written to it."""

    def __init__(self, limit: int = TAIL_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.cut = False

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Append ``data``, forgetting the oldest bytes."""
        self._kept += data
        excess = len(self._kept) - self._limit
        if excess > 0:
            del self._kept[:excess]
            self.cut = True

    def text(self) -> str:
        """What is kept, from the first whole line on, safe to print."""
        kept = bytes(self._kept)
        if self.cut:
            first, newline, rest = kept.partition(b"\n")
            kept = rest if newline else first
        return printable(kept.decode("utf-8", "replace"))


def printable(text: str) -> str:
    """``text`` without what could drive a terminal: control and formatting characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        c if c.isprintable() or c in "\n\t" else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def last_meaningful_line(stderr: str, program: str = "") -> str:
    """The line that most likely says why: the last that tells of trouble, else the last at all.

    The program's own name and the word ``error:`` at its start are taken off, since the message
    it becomes part of says both already.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if not lines:
        return ""
    line = next((line for line in reversed(lines) if _TROUBLE.search(line)), lines[-1])
    line = line.removeprefix(f"{program}:").strip()
    line = re.sub(r"^error:\s*", "", line, flags=re.IGNORECASE)
    return line if len(line) <= _LINE_LIMIT else line[: _LINE_LIMIT - 1] + "…"
