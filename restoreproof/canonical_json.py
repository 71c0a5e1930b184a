"""JSON with one encoding for each value, so that what is signed can be compared byte by byte.

Keys are sorted by code point, no white space, UTF-8 without escapes that are not needed, floats in
the shortest form that reads back, no NaN or infinity, no key twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class NotCanonical(ValueError):
    """The bytes are not JSON, or not the one encoding of their value."""


def dumps(value: object, *, default: Callable[[object], object] | None = None) -> bytes:
    """The one encoding of ``value``.

    Args:
        value: what JSON has, and what ``default`` knows.
        default: makes of another type what JSON has; called for one value after the other.

    Raises:
        ValueError: it holds something that JSON has not (NaN, a lone surrogate, another type).
    """
    try:
        text = json.dumps(
            value,
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
            default=default,
        )
        return text.encode()
    except TypeError as error:
        raise ValueError(str(error)) from error


def loads(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value until somebody judges it
    """The value that ``data`` is the one encoding of.

    Raises:
        NotCanonical: for all other bytes.
    """
    try:
        value = json.loads(data.decode(), parse_constant=_refuse_constant)
        same = dumps(value) == data
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"not JSON: {error}") from error
    if not same:
        raise NotCanonical("not the canonical encoding of its value")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
