"""Is everything in place for the next backup and its proof, and what is not backed up at all?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from backup_lib.services.archive import list_sets, read_newest
from backup_lib.services.judgement import span
from backup_lib.services.site import Site
from backup_lib.stores.base import Source
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad, RestoreproofError
from restoreproof.events import step
from restoreproof.verdict import Verdict, worst


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        area: ``keys``, ``store``, ``destination``, ``sandbox``, ``alert`` or ``coverage``.
        name: of what was looked at.
        verdict: ``inconclusive`` is worth knowing, ``failed`` stops a backup or its proof.
        message: what was seen.
        hint: what to do.
    """

    area: str
    name: str
    verdict: Verdict
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, in the order they were made."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst check."""
        return worst(check.verdict for check in self.checks)


def diagnose(site: Site, work: Work) -> Diagnosis:
    """Look at keys, stores, destinations, sandboxes and alert channels; changes nothing."""
    checks: list[Check] = []
    for title, examine in (
        ("Keys", _keys),
        ("Stores", _stores),
        ("Destinations", _destinations),
        ("Sandboxes", _sandboxes),
        ("Alert channels", _alerts),
    ):
        with step(work.emit, f"doctor:{title}", title) as looking:
            found = list(examine(site))
            looking.outcome = _counted(found)
            looking.failed = any(check.verdict is Verdict.FAILED for check in found)
        checks += found
    return Diagnosis(tuple(checks))


def _counted(checks: Collection[Check]) -> str:
    """``5 in order, 1 to look at``."""
    counts = Counter(check.verdict for check in checks)
    words = {
        Verdict.PASSED: "in order",
        Verdict.INCONCLUSIVE: "to look at",
        Verdict.FAILED: "failed",
    }
    return ", ".join(
        f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict]
    )


def _look(area: str, name: str, look: Callable[[], str]) -> Check:
    """A check that passes with what ``look`` says, and fails with the error that it raises."""
    try:
        return Check(area, name, Verdict.PASSED, look())
    except RestoreproofError as error:
        return Check(area, name, Verdict.FAILED, error.message, error.hint)


def _keys(site: Site) -> Iterator[Check]:
    yield _look("keys", "signing", lambda: f"signs as {site.signing_key().public.key_id[:16]}")
    count = len(tuple(site.trusted))
    if count:
        yield Check("keys", "trusted", Verdict.PASSED, f"{count} trusted")
    else:
        yield Check(
            "keys",
            "trusted",
            Verdict.FAILED,
            "no key is trusted, so no backup can be verified",
            "inv backup.keys --make, or --trust FILE",
        )


def _stores(site: Site) -> Iterator[Check]:
    in_sets = {store for chosen in site.config.sets.values() for store in chosen.stores}
    reached = _reached(site)
    for name in site.config.stores:
        check = _look("store", name, partial(_probe, site, name))
        yield check
        if name not in in_sets:
            yield Check(
                "coverage",
                name,
                # as intended, or forgotten: only its owner knows
                Verdict.INCONCLUSIVE,
                "is in no set: it can be restored into, and is never backed up",
                "nothing to do if that is what it is for; else add it to the stores of a set",
            )
        if check.verdict is Verdict.PASSED:
            yield from _coverage(site, name, reached)


def _reached(site: Site) -> dict[str, Source]:
    """The stores whose addresses are known; of another one its own check tells what it lacks."""
    reached: dict[str, Source] = {}
    for name in site.config.stores:
        with suppress(RestoreproofError):
            source = site.source(name)
            source.target()
            reached[name] = source
    return reached


def _coverage(site: Site, name: str, reached: Mapping[str, Source]) -> Iterator[Check]:
    """What lives beside that store and in no store of its kind."""
    kind = site.config.store(name).kind
    others = [source for n, source in reached.items() if site.config.store(n).kind == kind]
    try:
        found = reached[name].not_backed_up(others)
    except RestoreproofError as error:
        yield Check("coverage", name, Verdict.INCONCLUSIVE, error.message, error.hint)
        return
    for missing in found:
        yield Check(
            "coverage",
            missing.name,
            Verdict.INCONCLUSIVE,
            f"{missing.kind} on the server of {name} is not backed up: {missing.reason}",
            "add a store for it, or accept it",
        )


def _probe(site: Site, name: str) -> str:
    facts = site.source(name).probe()
    return f"{facts.product} {facts.version}"


def _destinations(site: Site) -> Iterator[Check]:
    for name in site.config.destinations:
        yield _look("destination", name, partial(_probe_destination, site, name))
        for set_name, chosen in site.config.sets.items():
            if chosen.destination == name:
                yield _look("destination", f"{name}/{set_name}", partial(_newest, site, set_name))


def _probe_destination(site: Site, name: str) -> str:
    return site.destination(name).probe()


def _newest(site: Site, set_name: str) -> str:
    plan = site.plan(set_name)
    listing = list_sets(plan.destination, site.trusted, plan.name)
    if listing.unreadable:
        first = listing.unreadable[0]
        raise JudgedBad(f"set {first.ref.set_id}: {first.reason}", hint=first.hint)
    if listing.newest is None:
        raise JudgedBad("no backup yet", hint=f"make one: inv backup.run --set {plan.name}")
    age = site.clock.now() - listing.newest.manifest.started
    return f"{len(listing.published)} sets, the newest {span(age)} old"


def _sandboxes(site: Site) -> Iterator[Check]:
    for name in site.config.sandboxes:
        try:
            isolation = site.sandbox(name).isolation()
        except RestoreproofError as error:
            yield Check("sandbox", name, Verdict.FAILED, error.message, error.hint)
            continue
        for guard, state in isolation.items():
            held = not state.startswith("no")
            yield Check(
                "sandbox",
                f"{name}/{guard}",
                Verdict.PASSED if held else Verdict.INCONCLUSIVE,
                state,
                "" if held else "a restored dump is hostile code: see docs/PROOF.md",
            )
    for set_name, chosen in site.config.sets.items():
        for store in chosen.stores:
            yield _look("sandbox", f"{set_name}/{store}", partial(_fit, site, set_name, store))


def _fit(site: Site, set_name: str, store: str) -> str:
    """Whether the sandbox of that store can restore its newest backup."""
    plan = site.plan(set_name)
    listing = list_sets(plan.destination, site.trusted, plan.name)
    newest, _ = read_newest(plan.destination, site.trusted, listing)
    record = next((r for r in newest.manifest.stores if r.name == store), None) if newest else None
    if record is None:
        return "no backup to compare with yet"
    restorer = site.restorer(record.kind)
    offers = site.sandbox_for(plan.name, store).offers(restorer.recipe(record))
    gaps = restorer.gaps(record, offers)
    if gaps:
        raise Inconclusive(
            "; ".join(gap.message for gap in gaps), hint="; ".join(gap.hint for gap in gaps)
        )
    return f"{offers.product} {offers.version} can restore the newest backup"


def _alerts(site: Site) -> Iterator[Check]:
    if not site.config.alerts:
        yield Check(
            "alert",
            "none",
            Verdict.INCONCLUSIVE,
            "nobody is told when a verification fails",
            "add an [alert.NAME] table: see docs/ALERTS.md",
        )
    for name in site.config.alerts:
        yield _look("alert", name, partial(_probe_channel, site, name))


def _probe_channel(site: Site, name: str) -> str:
    return site.config.channel(name).probe()
