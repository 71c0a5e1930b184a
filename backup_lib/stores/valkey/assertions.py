"""Assertions of the application: one read-only command each, and what it has to answer.

::

    EXISTS sessions:index
    DBSIZE > 0
    HGET config "region name" == eu-central

Without a comparison the answer has to be true: neither 0, nor empty, nor missing.
"""

from __future__ import annotations

import operator
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import valkey

from backup_lib.model import Target
from backup_lib.stores.base import AssertionResult
from backup_lib.stores.valkey.address import connect
from backup_lib.work import Work

_NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_LONGEST_ANSWER = 100


def check(target: Target, assertions: Sequence[str], work: Work) -> tuple[AssertionResult, ...]:
    """Ask each of them.

    Raises:
        Unreachable: the server is away.
    """
    results = []
    with connect(target) as client:
        client.response_callbacks.clear()
        for text in assertions:
            work.cancel.check()
            results.append(_ask(client, text))
    return tuple(results)


def _ask(client: valkey.Valkey, text: str) -> AssertionResult:
    try:
        words = shlex.split(text)
    except ValueError as error:
        return AssertionResult(text, None, f"cannot be read: {error}")
    comparison, wanted = "", ""
    if len(words) > 2 and (words[-2] in _NUMBERS or words[-2] == "=="):
        *words, comparison, wanted = words
    if not words:
        return AssertionResult(text, None, "is empty")
    try:
        if not _only_reads(client, words[0]):
            return AssertionResult(text, None, f"{words[0]} is no command that only reads")
        answer = client.execute_command(*words)  # type: ignore[no-untyped-call]
    except valkey.ResponseError as error:
        return AssertionResult(text, None, str(error)[:_LONGEST_ANSWER])
    shown = _shown(answer)[:_LONGEST_ANSWER]
    return AssertionResult(text, _holds(answer, comparison, wanted), shown)


def _only_reads(client: valkey.Valkey, name: str) -> bool:
    (about,) = client.execute_command("COMMAND", "INFO", name)  # type: ignore[no-untyped-call]
    return about is not None and b"readonly" in {bytes(flag) for flag in about[2]}


def _holds(answer: Any, comparison: str, wanted: str) -> bool | None:  # noqa: ANN401  whatever it says
    if not comparison:
        return bool(answer) and answer != b"0"
    if comparison == "==":
        return _shown(answer) == wanted
    try:
        return _NUMBERS[comparison](float(answer), float(wanted))
    except (TypeError, ValueError):
        return None


def _shown(answer: Any) -> str:  # noqa: ANN401  whatever it says
    if isinstance(answer, bytes):
        return answer.decode("utf-8", "backslashreplace")
    if isinstance(answer, list):
        return f"{len(answer)} elements"
    return "nothing" if answer is None else str(answer)
