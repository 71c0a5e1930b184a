"""Tells the alert channels what a verification found. Never changes, and never hides, a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from backup_lib.model import RungResult, SetVerification
from backup_lib.services.site import Site
from backup_lib.work import Work
from restoreproof.alerts import Delivery, Finding
from restoreproof.errors import JudgedBad, RestoreproofError
from restoreproof.reporters.text import one_line
from restoreproof.verdict import Verdict

if TYPE_CHECKING:
    from restoreproof.alerts.dispatcher import Dispatcher

NO_RUNG = "message"
"""In the place of a rung, where what is told came from none."""


def findings(result: SetVerification) -> Iterator[Finding]:
    """Every rung that was judged, passes included: they end an incident.

    Rungs that were not reached say nothing of their own; the one that stopped the climb does.
    """
    for store in result.stores:
        for rung in store.rungs:
            if rung.reached:
                yield Finding(
                    result.set_name, store.store, rung.rung, rung.verdict, rung.reason, rung.hint
                )


def tell(site: Site, result: SetVerification, work: Work) -> tuple[Delivery, ...]:
    """Report a verification to the alert channels of its set.

    Returns:
        what was delivered to whom, and what was not; empty where the set has no channel.
    """
    return report(site.dispatcher(result.set_name, work.emit), (result,))


def report(
    dispatcher: Dispatcher | None, results: Iterable[SetVerification]
) -> tuple[Delivery, ...]:
    """As :func:`tell`, through a dispatcher at hand."""
    told = [finding for result in results for finding in findings(result)]
    return dispatcher.report(told) if dispatcher and told else ()


def finding_of(
    error: str | BaseException | RungResult, about: str, last: RungResult | None = None
) -> Finding:
    """Anything that went wrong as something to tell.

    Args:
        error: a sentence, an exception, or the result of a rung.
        about: what it is about: the name of a backup.
        last: the rung that was judged last; a sentence or exception is taken to be about it where
            it did not pass.
    """
    if isinstance(error, RungResult):
        return Finding(about, "", error.rung, error.verdict, error.reason, error.hint)
    rung = last.rung.value if last and last.verdict is not Verdict.PASSED else NO_RUNG
    hint = ""
    verdict = Verdict.FAILED
    if isinstance(error, RestoreproofError):
        reason, hint = error.message, error.hint
        verdict = Verdict.FAILED if isinstance(error, JudgedBad) else Verdict.INCONCLUSIVE
    elif isinstance(error, BaseException):
        # an error that says nothing about a backup is no judgement of one
        reason, verdict = one_line(f"{type(error).__name__}: {error}"), Verdict.INCONCLUSIVE
    else:
        reason = one_line(error) or "no reason was given"
    return Finding(about, "", rung, verdict, reason, hint)
