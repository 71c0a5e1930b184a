"""The number of the next set: strictly rising, so that it tells which of several is the newest."""

from __future__ import annotations

from backup_lib.services.archive import list_sets
from backup_lib.services.memory import Seen
from backup_lib.services.site import SetPlan, Site
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, Refused, Unreachable
from restoreproof.events import Warned
from restoreproof.signing import PublicKey, TrustedKeys


def next_sequence(site: Site, plan: SetPlan, own: PublicKey, work: Work) -> int:
    """One more than any sequence that is there or was ever seen from here.

    Args:
        site: whose trusted keys and memory count.
        plan: of the set.
        own: the key that signs here; what it signed is believed, trusted or not.
        work: told of what could not be read.

    Raises:
        Refused: there are sets, and nothing tells the number of any of them: a set that begins
            anew would look older than they once they can be read.
        Unreachable: the destination is away.
    """
    if site.trusted.get(own.key_id) is None:
        work.emit(
            Warned(
                "the signing key is not trusted here, so no backup made here is verified here",
                "trust its public half: inv backup.keys --trust KEY (inv backup.keys shows it)",
            )
        )
    listing = list_sets(plan.destination, TrustedKeys.of(*site.trusted, own), plan.name)
    seen = _seen(site, plan, work)
    if listing.unreadable:
        unreadable, first = len(listing.unreadable), listing.unreadable[0]
        what = f"{unreadable} sets of {plan.name} cannot be read: {first.reason}"
        if not listing.published and seen is None:
            raise Refused(
                f"{what}; so nothing tells the number of the next one",
                hint="trust the key that signed them (inv backup.keys --trust FILE), or back up "
                "into another folder",
            )
        work.emit(
            Warned(
                f"{what}; the next number goes by the others",
                first.hint,
                tuple(one.ref.set_id for one in listing.unreadable),
            )
        )
    return max(listing.highest_sequence(), seen.sequence if seen else 0) + 1


def _seen(site: Site, plan: SetPlan, work: Work) -> Seen | None:
    """What is remembered; memory that is damaged keeps nobody from a backup."""
    try:
        return site.memory.seen(plan.destination_name, plan.name)
    except (Inconclusive, Unreachable) as error:
        work.emit(
            Warned(f"{error.message}; the sequence goes by the destination alone", error.hint)
        )
        return None
