"""Application assertions: SQL that answers true in a good copy."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from backup_lib.model import Target
from backup_lib.stores.base import AssertionResult
from backup_lib.stores.postgres.connection import connect
from backup_lib.work import Work

_LONGEST_ANSWER = 200


def check(target: Target, assertions: Sequence[str], work: Work) -> tuple[AssertionResult, ...]:
    """Evaluate each assertion in a read-only transaction of its own.

    An assertion holds when it answers one row with one column that is true. It does not hold when
    that is false. Anything else (an error, no row, NULL, another type) could not be evaluated.
    Each has the work's stall timeout to answer.

    Raises:
        Unreachable: no connection to the copy.
    """
    results = []
    for text in assertions:
        work.cancel.check()
        # a connection each: what one assertion sets or breaks is not met by the next
        with connect(target) as connection:
            held, answer = _evaluate(connection, text, work.stall_timeout)
        results.append(AssertionResult(text, held, answer))
    return tuple(results)


def _evaluate(connection: psycopg.Connection, text: str, timeout: float) -> tuple[bool | None, str]:
    try:
        connection.execute("RESET search_path")  # the application's own, not ours
        connection.execute(f"SET statement_timeout = {round(timeout * 1000)}")
        connection.execute("SET default_transaction_read_only = on")
        # binary: the extended protocol, which takes a single statement
        cursor = connection.execute(text.encode(), prepare=False, binary=True)
        if cursor.description is None:
            return None, "it answers no rows"
        rows = cursor.fetchmany(2)
    except psycopg.Error as error:
        return None, error.diag.message_primary or str(error)
    if len(rows) != 1 or len(rows[0]) != 1:
        columns = len(cursor.description)
        return None, f"it answers {cursor.rowcount} rows of {columns} columns instead of one value"
    answer = rows[0][0]
    if not isinstance(answer, bool):
        return None, f"it answers {str(answer)[:_LONGEST_ANSWER]!r} instead of true or false"
    return answer, "true" if answer else "false"
