"""The commands in a piece of shell, well enough to see what they install and change.

No shell is run. What a shell computes (functions, loops over words, its own variables) is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePosixPath

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+)
    |(?P<ends>&&|\|\|?|;+|&|\n|[()`])
    |'(?P<single>[^']*)'
    |"(?P<double>(?:[^"\\]|\\.)*)"
    |\\(?P<escaped>.)
    |(?P<plain>\$\{[^}\s]{0,200}\}|[^\s'"\\|&;()`$]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_LEADING = frozenset(
    (
        *("if", "then", "do", "else", "elif", "while", "until", "!", "{", "exec", "command"),
        *("time", "nohup", "env", "eval", "nice", "ionice", "builtin"),
    )
)
SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh"))
_DEEPEST = 3
_LONGEST = 1 << 20

Words = tuple[str, ...]


def program(words: Sequence[str]) -> str:
    """The name of what a command runs, without its folder."""
    return PurePosixPath(words[0]).name if words else ""


def substituted(text: str, names: Mapping[str, str]) -> str:
    """``text`` with the variables that are known put in; the others stay as they are."""
    longest = max(map(len, names.values()), default=0)
    if text.count("$") * longest > _LONGEST:
        return text
    return _VARIABLE.sub(lambda found: names.get(found[1] or found[2], found[0]), text)


def commands(text: str, depth: int = 0) -> Iterator[Words]:
    """Each simple command, its words without quotes; those behind ``sh -c`` as well."""
    for words in _split(text):
        yield from unwrapped(words, depth)


def unwrapped(words: Words, depth: int = 0) -> Iterator[Words]:
    """The command itself, without assignments and wrappers before it."""
    start = 0
    while start < len(words) and (words[start] in _LEADING or _ASSIGNMENT.match(words[start])):
        start += 1
    words = words[start:]
    if not words:
        return
    if program(words) in SHELLS and depth < _DEEPEST:
        for flag, script in pairwise(words):
            if flag.startswith("-") and not flag.startswith("--") and flag.endswith("c"):
                yield from commands(script, depth + 1)
                return
    yield words


def _split(text: str) -> Iterator[Words]:
    words: list[str] = []
    word: list[str] | None = None
    is_comment = False
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if is_comment and token[0] != "\n":
            continue
        is_comment = False
        if kind in ("blank", "ends"):
            if word is not None:
                words.append("".join(word))
                word = None
            if kind == "ends" and words:
                yield tuple(words)
                words = []
        elif word is None and token[0].startswith("#"):
            is_comment = True
        elif kind == "escaped" and token["escaped"] == "\n":
            continue
        else:
            assert kind is not None
            word = word if word is not None else []
            word.append(token[kind])
    if word is not None:
        words.append("".join(word))
    if words:
        yield tuple(words)
