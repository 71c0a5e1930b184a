"""Where in a TOML file each key stands.

``tomllib`` tells values but no positions, so the file is gone through a second time. The text is
known to be valid by then (``tomllib`` read it), which keeps this small: it only has to find where
keys and values begin and end, by the grammar of https://toml.io/en/v1.0.0.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and array indices from the root, such as ``("set", "nightly", "stores", 0)``."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")


def positions(text: str) -> Mapping[KeyPath, int]:
    """The line (from 1) of every key, table header and array element of a valid TOML text."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._tables_in: dict[KeyPath, int] = {}
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(opening="[[", closing="]]")
            elif self._text.startswith("[", self._at):
                table = self._header(opening="[", closing="]")
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self, *, opening: str, closing: str) -> KeyPath:
        line = self._line()
        self._at += len(opening)
        *parents, last = self._dotted_key()
        self._skip(_BLANK)
        self._at += len(closing)
        table: KeyPath = ()
        for part in parents:
            table = self._newest((*table, part))
            self.lines.setdefault(table, line)
        table = (*table, last)
        self.lines.setdefault(table, line)
        if opening == "[[":
            self._tables_in[table] = self._tables_in.get(table, 0) + 1
            table = self._newest(table)
            self.lines[table] = line
        return table

    def _newest(self, path: KeyPath) -> KeyPath:
        """A name that stands for an array of tables means its newest element."""
        count = self._tables_in.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._dotted_key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._skip(_BLANK)
        self._at += len("=")
        self._value(path)

    def _dotted_key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            quoted = _STRING.match(self._text, self._at)
            if quoted:
                self._at = quoted.end()
                parts.append(tomllib.loads(f"k = {quoted[0]}")["k"])
            else:
                bare = _BARE_KEY.match(self._text, self._at)
                assert bare, "valid TOML has a key here"
                self._at = bare.end()
                parts.append(bare[0])
            self._skip(_BLANK)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        if self._text.startswith("[", self._at):
            self._members(path, closing="]")
        elif self._text.startswith("{", self._at):
            self._members(path, closing="}")
        elif not self._skip(_STRING):
            self._skip(_SCALAR)

    def _members(self, path: KeyPath, *, closing: str) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._text.startswith(closing, self._at):
                self._at += 1
                return
            if self._text.startswith(",", self._at):
                self._at += 1
            elif closing == "}":
                self._pair(path)
            else:
                self.lines[(*path, index)] = self._line()
                self._value((*path, index))
                index += 1

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found is not None

    def _line(self) -> int:
        return bisect_right(self._line_starts, self._at)
