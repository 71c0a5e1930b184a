"""Reading reports that other programs wrote: limited, validated, never trusted."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from hardening.model import Severity

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

LARGEST = 256 * 1024 * 1024
"""Bytes of a report beyond which it is not read."""


class Unreadable(Exception):
    """A report that is not what the tool's version writes; the text says why."""


class NoData(Unreadable):
    """A report of a tool that could not get at its vulnerability data."""


class Foreign(BaseModel):
    """A part of a report: only what is used is declared, and that must be as declared."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


def parse(model: type[M], raw: bytes) -> M:
    """``raw`` as that model.

    Raises:
        Unreadable: it is empty, no JSON, or of another shape.
    """
    return _parse(TypeAdapter(model), raw)


def parse_list(model: type[M], raw: bytes) -> list[M]:
    """``raw`` as a list of that model.

    Raises:
        Unreadable: it is empty, no JSON, or of another shape.
    """
    return _parse(TypeAdapter(list[model]), raw)  # type: ignore[valid-type]  # made at run time


def _parse(shape: TypeAdapter[T], raw: bytes) -> T:
    if not raw.strip():
        raise Unreadable("the report is empty")
    try:
        return shape.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Unreadable("the report is no JSON, or it is cut off") from None
        where = ".".join(str(part) for part in first["loc"]) or "the top"
        raise Unreadable(f"the report is not in the known format, at {where[:200]}") from None


def read_limited(path: Path) -> bytes:
    """The bytes of a report.

    Raises:
        Unreadable: it is missing or too large.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError:
        raise Unreadable("there is no report") from None
    if len(raw) > LARGEST:
        raise Unreadable(f"the report is larger than {LARGEST // 1024 // 1024} MiB")
    return raw


def below(root: Path, name: str) -> str:
    """A path as a tool told it: relative to ``root`` where it lies below, else absolute."""
    path = PurePosixPath(os.path.normpath(os.path.join(root, name)))  # noqa: PTH118  # no link is followed
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def severity(word: str, levels: dict[str, Severity]) -> Severity:
    """A tool's own word as ours; what is not in the table is unknown, and so blocks."""
    return levels.get(word.strip().lower(), Severity.UNKNOWN)
