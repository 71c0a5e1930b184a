"""Substitution of ``$NAME`` and ``${NAME:-default}``, as the builder does it, with bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LONGEST = 1 << 16
"""Characters that a value may grow to; and its square bounds what one word may cost."""

_PATTERNED = re.compile(r"\$\{\w+[#%/]")
_MOST_STARS = 3
"""Wildcards in one substitution; each costs another power of the value's length."""


@dataclass(frozen=True, slots=True)
class Value:
    """A word after substitution.

    Attributes:
        text: what the builder makes of it, as far as this can be told; else the word as written.
        line: where it stands.
        missing: variables in it that nothing in the file sets, in order; ``text`` takes them for
            empty. A base image may set them.
        known: False where the builder would refuse the word, or where it would cost too much.
    """

    text: str
    line: int
    missing: tuple[str, ...] = ()
    known: bool = True

    @property
    def is_certain(self) -> bool:
        """Whether nothing outside the file has a say in it."""
        return self.known and not self.missing


class _Watched(dict[str, str]):
    """Remembers which names were asked for in vain."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__(names)
        self.missing: dict[str, None] = {}

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if name not in self:
            self.missing[name] = None
        return super().get(name, default)


def expand(word: str, names: Mapping[str, str], *, line: int, escape: str = "\\") -> Value:
    """``word`` without quotes and escapes, its variables replaced."""
    from e2b_dockerfile_utils import ShellLex

    if "$" not in word and not any(char in word for char in ("'", '"', escape, "<")):
        return Value(word, line)
    if not _is_affordable(word, names):
        return Value(word, line, known=False)
    watched = _Watched(names)
    try:
        text = ShellLex(escape, env=watched, skip_unset_env=False).process_word(word)
    except (ValueError, re.error):
        return Value(word, line, tuple(watched.missing), known=False)
    if len(text) > _LONGEST:
        return Value(word, line, known=False)
    return Value(text, line, tuple(watched.missing))


def _is_affordable(word: str, names: Mapping[str, str]) -> bool:
    if "$" not in word:
        return True
    used = [names[name] for name in set(re.findall(r"\w+", word)) if name in names]
    longest = max(map(len, used), default=0)
    if word.count("$") * longest > 16 * _LONGEST:
        return False
    if _PATTERNED.search(word):
        stars = word.count("*") + sum(value.count("*") for value in used)
        return stars <= _MOST_STARS and longest <= 1024
    return True
