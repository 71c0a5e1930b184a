"""The one result of a task as a JSON document, version 1 of ``restoreproof/result``.

::

    {"format": "restoreproof/result", "version": 1, "task": "backup.verify",
     "verdict": "failed", "exit_code": 1, "warnings": [], "result": {…}}

``verdict`` is null where nothing was judged. A task that ended with an error has ``error``
(``type``, ``message``, ``hint``, ``exit_code``) instead of ``result``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias

from restoreproof.clock import rfc3339
from restoreproof.errors import Inconclusive, JudgedBad, RestoreproofError
from restoreproof.events import Warned
from restoreproof.exit_codes import ExitCode
from restoreproof.redaction import redact
from restoreproof.secrets import SecretRef
from restoreproof.verdict import Verdict

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

FORMAT = "restoreproof/result"
VERSION = 1


def encode(value: object) -> JsonValue:
    """``value`` as JSON: dataclasses by their fields (and ``verdict``), moments as RFC 3339.

    Spans of time become seconds, paths and enumerations text, sets sorted lists. Known secrets are
    scrubbed out of every text.

    Raises:
        TypeError: for a :class:`~restoreproof.secrets.Secret`, and for types not named here.
    """
    if value is None or isinstance(value, bool | int | float | str | Enum):
        return _scalar(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date | PurePath):
        return redact(str(value))
    if isinstance(value, SecretRef):
        return dict(value.as_json())
    if is_dataclass(value) and not isinstance(value, type):
        return _dataclass(value)
    if isinstance(value, Mapping):
        return {redact(_key(key)): encode(inner) for key, inner in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((encode(inner) for inner in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [encode(inner) for inner in value]
    raise TypeError(f"{type(value).__name__} does not go into a result document")


def _scalar(value: object) -> JsonValue:
    if isinstance(value, Enum):
        return encode(value.value)
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    assert value is None or isinstance(value, bool | int | float)
    return value


def _dataclass(value: DataclassInstance) -> JsonValue:
    names = [one.name for one in fields(value)]
    if isinstance(getattr(type(value), "verdict", None), property):
        names.append("verdict")
    return {name: encode(getattr(value, name)) for name in names}


def _key(key: object) -> str:
    if isinstance(key, Enum):
        key = key.value
    if not isinstance(key, str):
        raise TypeError(f"{type(key).__name__} is no key of a result document")
    return key


def verdict_of(error: RestoreproofError) -> Verdict | None:
    """The verdict that an error amounts to, if it is one."""
    if isinstance(error, JudgedBad):
        return Verdict.FAILED
    return Verdict.INCONCLUSIVE if isinstance(error, Inconclusive) else None


def result_text(
    task: str,
    result: object,
    *,
    verdict: Verdict | None,
    exit_code: ExitCode,
    warnings: Sequence[Warned] = (),
) -> str:
    """The document of a task that came to its end."""
    return _text(task, verdict, exit_code, warnings, {"result": encode(result)})


def error_text(task: str, error: RestoreproofError, warnings: Sequence[Warned] = ()) -> str:
    """The document of a task that ended with an error."""
    described: JsonValue = {
        "type": type(error).__name__,
        "message": redact(error.message),
        "hint": redact(error.hint),
        "exit_code": int(error.exit_code),
    }
    return _text(task, verdict_of(error), error.exit_code, warnings, {"error": described})


def _text(
    task: str,
    verdict: Verdict | None,
    exit_code: ExitCode,
    warnings: Sequence[Warned],
    outcome: Mapping[str, JsonValue],
) -> str:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "task": task,
        "verdict": verdict,
        "exit_code": int(exit_code),
        "warnings": encode(warnings),
        **outcome,
    }
    return json.dumps(document, indent=2, allow_nan=False)
