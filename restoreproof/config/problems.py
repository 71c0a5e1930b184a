"""What is wrong with a configuration: all of it at once, each with its key and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from restoreproof.config.positions import KeyPath
from restoreproof.errors import ConfigError
from restoreproof.kinds import did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SUBJECT = re.compile(r"^(?:Input|String|List|Tuple|Value|Set|Dictionary)(?: should)\b")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: where; the empty path is the whole file.
        message: what; completes the sentence that begins with the key.
        hint: what to do about it.
    """

    path: KeyPath
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class LocatedProblem:
    """One thing that is wrong, and the line it stands on; no line where it cannot be told."""

    key: str
    line: int | None
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key} {self.message}".strip()


class ConfigProblems(ConfigError):
    """Everything that is wrong with one configuration file, in the order of its lines."""

    def __init__(self, path: Path, problems: Sequence[LocatedProblem]) -> None:
        first = problems[0]
        if len(problems) == 1:
            message, hint = f"{path}, {first}" if first.line else f"{path}: {first}", first.hint
        else:
            described = (f"{one} ({one.hint})" if one.hint else str(one) for one in problems)
            message = f"{path} has {len(problems)} problems:\n  " + "\n  ".join(described)
            hint = "every problem is listed; mend them and run config.check"
        super().__init__(message, hint=hint, path=path, key=first.key or None, line=first.line)
        self.problems = tuple(problems)


def dotted(path: KeyPath) -> str:
    """A key path as it would be written in TOML: ``store."a.b".tables[2]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if _BARE_KEY.fullmatch(part) else _quoted(part)
            text += f".{word}" if text else word
    return text


def _quoted(part: str) -> str:
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in part)
    return f'"{shown}"'


def from_validation(
    error: ValidationError, model: type[BaseModel], prefix: KeyPath, also_known: Iterable[str] = ()
) -> Iterator[Problem]:
    """The problems that pydantic found. What was given is never repeated: it may be a secret.

    Args:
        error: as raised by ``model``.
        model: the model of the table.
        prefix: where the table stands in the file.
        also_known: keys of the same table that are not the model's.
    """
    for one in error.errors(include_url=False, include_input=False):
        loc = one["loc"]
        hint = str(one.get("ctx", {}).get("hint", ""))
        if one["type"] == "extra_forbidden":
            known = set(_fields(model, loc[:-1]))
            if len(loc) == 1:
                known.update(also_known)
            hint = did_you_mean(str(loc[-1]), known) or f"known keys: {', '.join(sorted(known))}"
            message = "is not a known key"
        elif one["type"] == "missing":
            message = "is missing"
        else:
            message = _SUBJECT.sub("should", one["msg"]).removeprefix("Value error, ")
        yield Problem((*prefix, *loc), message, hint)


def _fields(model: type[BaseModel], loc: tuple[int | str, ...]) -> Iterator[str]:
    """The keys that are accepted in the table at ``loc`` below ``model``."""
    from pydantic import BaseModel

    from restoreproof.config.model import ToCome

    inner: object = model
    for part in loc:
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(part, str):
            inner = inner.model_fields[part].annotation if part in inner.model_fields else None
        inner = next((kind for kind in _models_in(inner)), inner)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        for name in inner.model_fields.keys() - ToCome.of(inner).keys():
            yield inner.model_fields[name].alias or name


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
