"""The base of all settings models, and the types of their fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)


class Settings(BaseModel):
    """Strict, frozen, no unknown keys, and no input repeated in errors: it may be a secret."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True, slots=True)
class ToCome:
    """Marks a field that is known and refused until it works; it is never suggested.

    Attributes:
        what: completes the sentence that begins with the key.
        hint: what to do about it.
    """

    what: str
    hint: str

    @classmethod
    def of(cls, model: type[BaseModel]) -> dict[str, ToCome]:
        """The fields of a model that are marked so, by name."""
        return {
            name: mark
            for name, field in model.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, cls)
        }


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_LONGEST = timedelta(days=365 * 200)


def parse_duration(text: str) -> timedelta:
    """``"90s"``, ``"30m"``, ``"24h"``, ``"7d"``, ``"2w"``, or several: ``"1h30m"``.

    Raises:
        ValueError: for anything else, and beyond 200 years.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError('should be a duration such as "90s", "30m", "24h" or "7d"')
    seconds = sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))
    if seconds > _LONGEST.total_seconds():
        raise ValueError("is longer than 200 years")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """The shortest text that :func:`parse_duration` reads as the same whole seconds."""
    seconds = int(duration.total_seconds())
    text = ""
    for unit in ("d", "h", "m", "s"):
        count, seconds = divmod(seconds, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError('should be a duration such as "90s", "30m", "24h" or "7d"')


_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kKMGTP]i?)?B?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_size(text: str) -> int:
    """Bytes: ``"512"``, ``"10 kB"``, ``"10KiB"``, ``"1.5GiB"``; with ``i`` powers of 1024.

    Raises:
        ValueError: for anything else.
    """
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError('should be a size such as "512", "10MB" or "10GiB"')
    prefix = (found[2] or "").lower()
    base = 1024 if prefix.endswith("i") else 1000
    return int(float(found[1]) * base ** _POWERS[prefix.removesuffix("i")])


def _size(value: object) -> int:
    if isinstance(value, str):
        return parse_size(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError('should be a size such as "512", "10MB" or "10GiB"')


_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


def parse_percent(text: str) -> float:
    """A share from 0 to 1: ``"50%"``, ``"0.5 %"``.

    Raises:
        ValueError: for anything else, and beyond 100 %.
    """
    found = _PERCENT.fullmatch(text)
    share = float(found[1]) / 100 if found else -1.0
    if not 0 <= share <= 1:
        raise ValueError('should be a share from "0%" to "100%"')
    return share


def _percent(value: object) -> float:
    if isinstance(value, float) and 0 <= value <= 1:
        return value
    if isinstance(value, str):
        return parse_percent(value)
    raise ValueError('should be a share from "0%" to "100%"')


def _path(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, str) and value and "\0" not in value:
        value = Path(value)
    if not isinstance(value, Path):
        raise ValueError("should be a path")
    try:
        value = value.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~ but there is no such home folder") from None
    base: Path | None = (info.context or {}).get("base")
    return base / value if base else value


Duration: TypeAlias = Annotated[
    timedelta,
    PlainValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]
"""A span of time, written ``"24h"``."""

Size: TypeAlias = Annotated[
    int,
    PlainValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": f"^{_SIZE.pattern}$"},
            ]
        }
    ),
]
"""Bytes, written ``"10GiB"`` or as a number."""

Percent: TypeAlias = Annotated[
    float,
    PlainValidator(_percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": f"^{_PERCENT.pattern}$"},
            ]
        }
    ),
]
"""A share from 0 to 1, written ``"50%"``."""

ConfigPath: TypeAlias = Annotated[
    Path, PlainValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})
]
"""A path; relative ones start from the configuration file's folder."""
