"""Scrubs known secrets out of text, whatever way they were encoded on their way there.

Every :class:`~restoreproof.secrets.Secret` makes its value known here when it is made. Whatever
leaves the process as text (console, JSON documents, events, crash reports) passes :func:`redact`.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

MASK = "[redacted]"

SHORTEST = 4
"""Shorter values are left alone: to blot them out of every word would spell them out."""

_SHORTEST_FRAGMENT = 6
"""Characters of base64 below which a fragment says nothing and would match by chance."""

_SHORTEST_LINE = 16


class Redactor:
    """Knows values, and replaces them in text. Thread-safe; knows them as long as it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def know(self, value: str) -> None:
        """Replace ``value`` from now on, and its longer lines when it has several."""
        parts = {value, value.strip()}
        parts.update(line for line in value.splitlines() if len(line) >= _SHORTEST_LINE)
        parts = {part for part in parts if len(part) >= SHORTEST}
        with self._lock:
            if not parts <= self._values:
                self._values |= parts
                self._pattern = None

    def __call__(self, text: str) -> str:
        """``text`` without any known value, in any of its spellings."""
        pattern = self._compiled()
        return pattern.sub(MASK, text) if pattern else text

    def _compiled(self) -> re.Pattern[str] | None:
        with self._lock:
            if self._pattern is None and self._values:
                spellings = {form for value in self._values for form in _spellings(value)}
                longest_first = sorted(spellings, key=lambda form: (-len(form), form))
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            return self._pattern


def _spellings(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    yield from _percent_encoded(raw)
    for ascii_only in (True, False):
        yield json.dumps(value, ensure_ascii=ascii_only)[1:-1]
    yield from (repr(value)[1:-1], ascii(value)[1:-1], repr(raw)[2:-1])
    yield shlex.quote(value)
    yield html.escape(value)
    yield value.replace("\\", "\\\\").replace("'", "\\'")  # libpq keyword/value strings
    yield value.replace("'", "''")  # SQL literals
    yield raw.hex()
    yield from _base64_fragments(raw)


def _percent_encoded(raw: bytes) -> Iterator[str]:
    for safe in ("", "/", "!$&'()*+,;=", "!$&'()*+,;=:", "!$&'()*+,;=:@/?"):
        text = quote(raw, safe=safe)
        yield text
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)
    yield quote_plus(raw)


def _base64_fragments(raw: bytes) -> Iterator[str]:
    """The characters that ``raw`` alone decides, at each of the three alignments in a stream."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw).decode("ascii")
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        fragment = whole[first:last]
        if len(fragment) >= _SHORTEST_FRAGMENT:
            yield fragment
            yield fragment.translate(str.maketrans("+/", "-_"))


redact = Redactor()
"""The process's own: knows every secret that was ever made in it."""
