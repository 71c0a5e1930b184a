"""Tells the alert channels what a verification found. Never changes, and never hides, a verdict."""

from __future__ import annotations

from collections.abc import Iterator

from backup_lib.model import SetVerification
from backup_lib.services.site import Site
from backup_lib.work import Work
from restoreproof.alerts import Delivery, Finding


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
    dispatcher = site.dispatcher(result.set_name, work.emit)
    return dispatcher.report(findings(result)) if dispatcher else ()
