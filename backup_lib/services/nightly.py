"""The nightly job: verify every set, keep the proof, tell who is to be told."""

from __future__ import annotations

from collections.abc import Iterable

from backup_lib.model import Rung, SetVerification
from backup_lib.services.alerting import tell
from backup_lib.services.proving import keep_proof
from backup_lib.services.site import Site
from backup_lib.services.verify import verify_set
from backup_lib.work import Work


def verify_sets(
    site: Site,
    set_names: Iterable[str],
    work: Work,
    *,
    backup: str | None = None,
    depth: Rung = Rung.ASSERTIONS,
    again: bool = False,
    accept_rollback: bool = False,
    proofs: bool = True,
    alerts: bool = True,
) -> tuple[SetVerification, ...]:
    """Verify sets one after the other; each is told before the next begins.

    Args:
        site: the configured objects.
        set_names: which sets.
        work: listeners, clock, limits.
        backup: as in :func:`.verify_set`, like the next three; nobody is told of a named one.
        depth: the highest rung to climb to.
        again: restore and compare even what was proven before.
        accept_rollback: newer sets that were seen before were removed on purpose.
        proofs: keep a signed proof of each verification.
        alerts: tell the channels of each set.

    Raises:
        UsageError: as :func:`.verify_set`. A bad backup is a verdict, never an exception.
    """
    results: list[SetVerification] = []
    for name in set_names:
        result = verify_set(
            site,
            name,
            work,
            backup=backup,
            depth=depth,
            again=again,
            accept_rollback=accept_rollback,
        )
        if proofs:
            result = keep_proof(site, result, work)
        if alerts and backup is None:
            # alerts are about the newest: an older one that is good must not end its incident
            tell(site, result, work)
        results.append(result)
    return tuple(results)
