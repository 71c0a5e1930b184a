"""Verification of the newest (or a named) backup set: which one, what of it, and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from backup_lib.format.source import StoredArtifactSource
from backup_lib.model import (
    Rung,
    RungResult,
    SetVerification,
    StoreVerification,
)
from backup_lib.services.archive import (
    Listing,
    PublishedSet,
    UnreadableSet,
    find_set,
    list_sets,
    read_newest,
    try_set,
)
from backup_lib.services.judgement import CLOCK_TOLERANCE, HINDRANCES, rungs_asked, span
from backup_lib.services.ladder import Climb
from backup_lib.services.memory import Seen
from backup_lib.services.reading import stored_size
from backup_lib.services.rehearsal import Rehearser, not_reached
from backup_lib.services.site import SetPlan, Site
from backup_lib.work import Work
from restoreproof import canonical_json
from restoreproof.errors import RestoreproofError, UsageError
from restoreproof.verdict import Verdict
from restoreproof.version import version


def verify_set(
    site: Site,
    set_name: str,
    work: Work,
    *,
    backup: str | None = None,
    depth: Rung = Rung.ASSERTIONS,
    again: bool = False,
    accept_rollback: bool = False,
) -> SetVerification:
    """Climb the ladder for every store of a set.

    Of the newest backup its age is judged; a named one may be as old as it likes.

    Args:
        site: the configured objects.
        set_name: which set.
        work: listeners, clock, limits.
        backup: id of the set to verify (may be shortened); the newest complete one by default.
        depth: the highest rung to climb to.
        again: restore and compare even what was proven before.
        accept_rollback: newer sets that were seen before were removed on purpose.

    Returns:
        a result for every configured store; a bad backup is a verdict, never an exception.

    Raises:
        UsageError: no such set in the configuration, or no such backup.
    """
    plan = site.plan(set_name)
    notes: list[str] = []
    try:
        if backup is None:
            chosen, listing, problem = _newest(
                site, plan, work, notes, accept_rollback=accept_rollback
            )
        else:
            chosen, listing, problem = _named(site, plan, backup)
    except HINDRANCES as hindered:
        if isinstance(hindered, UsageError) and backup is not None:
            raise  # there is no such backup
        return _all_stopped(plan, "", _hindered(hindered), depth, work, notes)
    if chosen is None:
        assert problem is not None
        return _all_stopped(plan, backup or "", problem, depth, work, notes)
    if backup is not None:
        plan = _of_any_age(plan)
    stores: list[StoreVerification] = []
    for store in plan.stores:
        try:
            judged = _verify_store(site, plan, store, chosen, listing, depth, work, again=again)
        except HINDRANCES as hindered:
            # one store that cannot be judged keeps no other from its verdict, and none from alerts
            judged = _stopped(store, plan.kinds[store], _hindered(hindered), plan, depth)
        stores.append(judged)
    if problem is not None:
        stores = [_with_problem(store, problem, depth) for store in stores]
    extra = {record.name for record in chosen.manifest.stores} - set(plan.stores)
    if extra:
        notes.append(f"in the set but not configured any more, so not judged: {', '.join(extra)}")
    return SetVerification(
        set_name,
        chosen.ref.set_id,
        work.clock.now(),
        depth,
        tuple(stores),
        tuple(notes),
        manifest=chosen.digest,
    )


def _newest(
    site: Site, plan: SetPlan, work: Work, notes: list[str], *, accept_rollback: bool
) -> tuple[PublishedSet | None, Listing, RungResult | None]:
    newest, listing = read_newest(
        plan.destination, site.trusted, list_sets(plan.destination, site.trusted, plan.name)
    )
    seen = site.memory.seen(plan.destination_name, plan.name)
    problem = _unreadable(listing.unreadable)
    if newest is None:
        return (
            None,
            listing,
            problem
            or RungResult(
                Rung.EXISTS,
                Verdict.FAILED,
                f"there is no backup of {plan.name} in {plan.destination_name}",
                f"make one: inv backup.run --set {plan.name}",
            ),
        )
    if seen is None:
        notes.append(
            "cannot tell whether newer sets were removed: this is the first verification here"
        )
    notes += _other_keys(newest, listing)
    # two machines that back up the same set may give the same number: then both sets are there
    still_there = any(seen and known.digest == seen.digest for known in listing.published)
    rolled_back = (
        _rolled_back(newest, seen) if seen and not (still_there or accept_rollback) else None
    )
    now = work.clock.now()
    set_back = _clock_set_back(now, seen) if seen and not accept_rollback else None
    if rolled_back is None and set_back is None:
        site.memory.saw(plan.destination_name, newest, now, replace=accept_rollback)
    # a newer set that is there and damaged says more than that it is missing
    damaged = problem if problem and problem.verdict is Verdict.FAILED else None
    return newest, listing, damaged or rolled_back or set_back or problem


def _named(
    site: Site, plan: SetPlan, backup: str
) -> tuple[PublishedSet | None, Listing, RungResult | None]:
    ref = find_set(plan.destination, plan.name, backup)
    chosen = try_set(plan.destination, site.trusted, ref)
    if isinstance(chosen, UnreadableSet):
        return None, Listing((), (chosen,)), _unreadable((chosen,))
    listing = list_sets(plan.destination, site.trusted, plan.name)
    return chosen, listing, None


def _of_any_age(plan: SetPlan) -> SetPlan:
    expectations = {
        store: replace(demanded, max_age=None) for store, demanded in plan.expectations.items()
    }
    return replace(plan, expectations=expectations)


def _unreadable(sets: Sequence[UnreadableSet]) -> RungResult | None:
    """A set whose manifest cannot be read is a backup that may be lost: never silent."""
    if not sets:
        return None
    first = next((s for s in sets if s.damaged), sets[0])
    more = f" (and {len(sets) - 1} more)" if len(sets) > 1 else ""
    return RungResult(
        Rung.INTEGRITY,
        Verdict.FAILED if first.damaged else Verdict.INCONCLUSIVE,
        f"set {first.ref.set_id}{more}: {first.reason}",
        first.hint,
    )


def _rolled_back(newest: PublishedSet, seen: Seen) -> RungResult | None:
    if newest.manifest.sequence < seen.sequence:
        return RungResult(
            Rung.EXISTS,
            Verdict.FAILED,
            f"the newest set has sequence {newest.manifest.sequence}, but {seen.sequence} was "
            f"here on {seen.at:%Y-%m-%d %H:%M} UTC: newer sets are gone",
            "find out who removed or rolled back the destination; if it was you: --accept-rollback",
        )
    if newest.manifest.sequence == seen.sequence and newest.digest != seen.digest:
        return RungResult(
            Rung.EXISTS,
            Verdict.FAILED,
            f"the set with sequence {seen.sequence} is not the one that was here on "
            f"{seen.at:%Y-%m-%d %H:%M} UTC",
            "find out who replaced it; if it was you: --accept-rollback",
        )
    return None


def _other_keys(newest: PublishedSet, listing: Listing) -> tuple[str, ...]:
    """A set that was brought from elsewhere is as good as ours by its signature: its key tells."""
    others = sum(known.key_id != newest.key_id for known in listing.published)
    if not others:
        return ()
    note = (
        f"the newest set is signed with the key {newest.key_id[:16]}, and {others} older ones with "
        "another: right if that key was replaced or two machines back up this set, else the newest "
        "was brought from elsewhere"
    )
    return (note,)


def _clock_set_back(now: datetime, seen: Seen) -> RungResult | None:
    """By a clock that was set back a backup of long ago would be fresh."""
    if seen.at - now <= CLOCK_TOLERANCE:
        return None
    return RungResult(
        Rung.FRESH,
        Verdict.INCONCLUSIVE,
        f"the clock of this machine is {span(seen.at - now)} behind the last look at these sets, "
        f"of {seen.at:%Y-%m-%d %H:%M} UTC",
        "set the clock right; if it was wrong at that look: --accept-rollback",
    )


def _verify_store(
    site: Site,
    plan: SetPlan,
    store: str,
    chosen: PublishedSet,
    listing: Listing,
    depth: Rung,
    work: Work,
    *,
    again: bool,
) -> StoreVerification:
    record = next((r for r in chosen.manifest.stores if r.name == store), None)
    if record is None or record.kind != plan.kinds[store]:
        stopped = RungResult(
            Rung.EXISTS,
            Verdict.FAILED,
            f"the set {chosen.ref.set_id} holds no backup of {store}"
            + (f" ({plan.kinds[store]}) but one of a {record.kind}" if record else ""),
            f"was it added since? make a new set: inv backup.run --set {plan.name}",
        )
        return _stopped(store, plan.kinds[store], stopped, plan, depth)
    expectations = plan.expectations[store]
    sandbox = site.config.sandbox_name(plan.name, store)

    def rehearser() -> Rehearser:
        return Rehearser(
            restorer=site.restorer(record.kind),
            source=StoredArtifactSource(plan.destination, chosen.ref, record, work.cancel),
            sandbox=site.sandbox(sandbox),
            assertions=expectations.assertions,
            depth=depth,
            work=work,
        )

    return Climb(
        destination=plan.destination,
        chosen=chosen,
        record=record,
        history=_history(listing, chosen, store),
        expectations=expectations,
        depth=depth,
        again=again,
        memory=site.memory,
        rehearser=rehearser,
        work=work,
        rests_on=(
            version(),
            sandbox,
            canonical_json.dumps(site.config.sandboxes[sandbox].as_json()).decode(),
        ),
    ).verify()


def _history(listing: Listing, chosen: PublishedSet, store: str) -> tuple[int, ...]:
    """Stored bytes of the store in the sets before ``chosen``, newest first."""
    return tuple(
        stored_size(record)
        for earlier in listing.published
        if earlier.manifest.sequence < chosen.manifest.sequence
        for record in earlier.manifest.stores
        if record.name == store
    )


def _with_problem(store: StoreVerification, problem: RungResult, depth: Rung) -> StoreVerification:
    """``store`` with a problem of the whole set put into the rung it belongs to.

    Where that rung was not asked for it goes into the lowest one: a shallow look is no excuse.
    """
    if problem.rung.height > depth.height:
        problem = replace(problem, rung=Rung.EXISTS)
    rungs = tuple(
        replace(problem, seconds=rung.seconds)
        if rung.rung is problem.rung and rung.verdict is not Verdict.FAILED
        else rung
        for rung in store.rungs
    )
    return replace(store, rungs=rungs)


def _hindered(error: RestoreproofError) -> RungResult:
    return RungResult(Rung.EXISTS, Verdict.INCONCLUSIVE, error.message, error.hint)


def _stopped(
    store: str, kind: str, stopped: RungResult, plan: SetPlan, depth: Rung
) -> StoreVerification:
    asked = rungs_asked(depth, assertions=bool(plan.expectations[store].assertions))
    rungs = [
        stopped if rung is stopped.rung else not_reached(rung, stopped)
        for rung in asked
        if rung.height >= stopped.rung.height
    ]
    return StoreVerification(store, kind, tuple(rungs) or (stopped,))


def _all_stopped(
    plan: SetPlan,
    set_id: str,
    stopped: RungResult,
    depth: Rung,
    work: Work,
    notes: Sequence[str],
) -> SetVerification:
    stores = tuple(
        _stopped(store, plan.kinds[store], stopped, plan, depth) for store in plan.stores
    )
    return SetVerification(plan.name, set_id, work.clock.now(), depth, stores, tuple(notes))
