"""``$NAME`` and ``${NAME:-default}`` in Compose files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from restoreproof.errors import Inconclusive

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEEPEST = 10
_LONGEST = 1 << 16
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*[=:]\s*(.*?)\s*$")


def interpolate(text: str, names: Mapping[str, str], depth: int = 0) -> str:
    """``text`` with variables put in, as Compose does: one that is not set is empty.

    Raises:
        Inconclusive: Compose refuses it, or a variable that it demands (``:?``) is not set.
    """
    if "$" not in text:
        return text
    if depth > _DEEPEST:
        raise Inconclusive("variables in it are nested too deeply")
    parts: list[str] = []
    size = position = 0
    while (found := text.find("$", position)) >= 0:
        parts.append(text[position:found])
        piece, position = _one(text, found, names, depth)
        parts.append(piece)
        size += len(piece)
        if size > _LONGEST:
            raise Inconclusive("variables make a value in it too long")
    parts.append(text[position:])
    return "".join(parts)


def _one(text: str, start: int, names: Mapping[str, str], depth: int) -> tuple[str, int]:
    """The replacement for what begins at a dollar sign, and where it ends."""
    after = start + 1
    if text.startswith("$", after):
        return "$", after + 1
    if not text.startswith("{", after):
        plain = _NAME.match(text, after)
        return (names.get(plain[0], ""), plain.end()) if plain else ("$", after)
    end = _closing(text, after)
    inner = text[after + 1 : end]
    name = _NAME.match(inner)
    if name is None:
        raise Inconclusive(f"a variable in it has no name: {inner[:40]!r}")
    value, operator = names.get(name[0]), inner[name.end() :]
    if not operator:
        return value or "", end + 1
    if operator.startswith(":"):
        value, operator = value or None, operator[1:]
    kind, word = operator[:1], operator[1:]
    if kind == "-":
        return (value if value is not None else interpolate(word, names, depth + 1)), end + 1
    if kind == "+":
        return (interpolate(word, names, depth + 1) if value is not None else ""), end + 1
    if kind == "?" and value is not None:
        return value, end + 1
    if kind == "?":
        raise Inconclusive(
            f"the variable {name[0]} is demanded and not set",
            hint="give it in the option environment",
        )
    raise Inconclusive(f"a substitution in it is not one that Compose knows: {inner[:40]!r}")


def _closing(text: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    raise Inconclusive("a ${ in it is not closed")


def variables(text: str) -> dict[str, str]:
    """The variables of a ``.env`` file."""
    names: dict[str, str] = {}
    for line in text.splitlines():
        found = None if line.lstrip().startswith("#") or len(line) > _LONGEST else _LINE.match(line)
        if found:
            value = found[2]
            if value[:1] in ("'", '"') and value[-1:] == value[0] and len(value) > 1:
                value = value[1:-1]
            names[found[1]] = value
    return names
