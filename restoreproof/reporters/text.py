"""Text from elsewhere (names, server messages) made fit for a terminal."""

from __future__ import annotations

import unicodedata

from restoreproof.redaction import redact

_KEPT = frozenset("\n")


def plain(text: str) -> str:
    """``text`` without secrets, and without characters that could steer or deceive a terminal.

    Control characters, and the Unicode formatting characters that turn the direction of writing,
    are shown as escapes; line ends stay.
    """
    return "".join(
        char if char in _KEPT or not _steers(char) else _escape(char) for char in redact(text)
    )


def one_line(text: str) -> str:
    """As :func:`plain`, with line ends and runs of white space turned into single spaces."""
    return plain(" ".join(text.split()))


def _steers(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _escape(char: str) -> str:
    point = ord(char)
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
