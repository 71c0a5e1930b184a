"""The ``backup`` tasks: parse arguments, call one service, render the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from invoke.collection import Collection
from invoke.context import Context

from restoreproof.tasking import Run, execute, options_help, task

if TYPE_CHECKING:
    from backup_lib.model import Rung
    from backup_lib.services.site import Site
    from backup_lib.work import Work

T = TypeVar("T")

_SET = "name of the set; all of them where it is left out"
_BACKUP = "id of the backup, as far as it is unique; the newest complete one where it is left out"
_FROM = "instead of a configuration: the folder of a local destination (with --trusted)"
_TRUSTED = "with --from: the trusted public key, a file or its one-line text"


def _work(run: Run) -> Work:
    from backup_lib.work import Work

    return Work(emit=run.emit, cancel=run.cancel)


def _on_site(
    run: Run,
    config: str | None,
    call: Callable[[Site, Work], T],
    *,
    folder: str | None = None,
    key: str | None = None,
    set_name: str | None = None,
    alerts: bool = True,
) -> T:
    """Call a service on the configured site, or on one made of a destination and a key alone.

    With ``alerts=False``, for a task that alerts nobody, alert channels are not even read.
    """
    from backup_lib.services.bare import open_bare
    from backup_lib.services.site import Site
    from restoreproof.errors import UsageError
    from restoreproof.scratch import scratch_folder

    work = _work(run)
    if folder is None:
        return call(Site.open(Path(config) if config else None, alerts=alerts), work)
    if key is None:
        raise UsageError("--from needs --trusted", hint="name the public key that is trusted")
    with scratch_folder() as state:
        return call(open_bare(Path(folder), key, state, set_name=set_name), work)


def _rung(depth: str) -> Rung:
    from backup_lib.model import Rung
    from restoreproof.errors import UsageError

    try:
        return Rung(depth)
    except ValueError:
        raise UsageError(f"there is no rung {depth!r}", hint="one of " + ", ".join(Rung)) from None


@task(name="run", help=options_help(set=_SET))
def run_(
    _context: Context,
    set_: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Back up every store of a set, and publish it all or nothing; set after set."""
    from backup_lib.reports.sets import render_runs
    from backup_lib.services.run import run_backups

    execute(
        "backup.run",
        lambda run: _on_site(
            run,
            config,
            lambda site, work: run_backups(site, site.chosen_sets(set_), work),
            alerts=False,
        ),
        render=render_runs,
        lasting=True,
        json=json,
        quiet=quiet,
        events=events,
    )


@task(name="list", help=options_help(set=_SET))
def list_(
    _context: Context,
    set_: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """List the backups, newest first, by their signed manifests."""
    from backup_lib.reports.sets import render_listings
    from backup_lib.services.archive import list_sets

    execute(
        "backup.list",
        lambda run: _on_site(
            run,
            config,
            lambda site, _work: tuple(
                (name, list_sets(site.plan(name).destination, site.trusted, name))
                for name in site.chosen_sets(set_)
            ),
            alerts=False,
        ),
        render=render_listings,
        json=json,
        quiet=quiet,
        events=events,
    )


@task(help=options_help(set=_SET, backup=_BACKUP))
def show(
    _context: Context,
    set_: str | None = None,
    backup: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Show backups in full: artifacts, fingerprint, what is not covered."""
    from backup_lib.reports.sets import render_sets
    from backup_lib.services.archive import choose_set

    execute(
        "backup.show",
        lambda run: _on_site(
            run,
            config,
            lambda site, _work: tuple(
                choose_set(site.plan(name).destination, site.trusted, name, backup or "")
                for name in site.sets_meant(set_, backup)
            ),
            alerts=False,
        ),
        render=render_sets,
        json=json,
        quiet=quiet,
        events=events,
    )


@task(
    help=options_help(
        set=_SET,
        backup=_BACKUP,
        depth="the highest rung: exists, fresh, size, integrity, restore, content or assertions",
        again="restore and compare even what was proven before",
        accept_rollback="newer sets that were seen before were removed on purpose",
        trusted=_TRUSTED,
        **{"from": _FROM},
    )
)
def verify(
    _context: Context,
    set_: str | None = None,
    backup: str | None = None,
    depth: str = "assertions",
    again: bool = False,
    accept_rollback: bool = False,
    from_: str | None = None,
    trusted: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """The nightly job: prove the newest backups, and alert on what does not pass."""
    from backup_lib.model import SetVerification
    from backup_lib.reports.verification import render_verifications
    from backup_lib.services.nightly import verify_sets

    def call(site: Site, work: Work) -> tuple[SetVerification, ...]:
        return verify_sets(
            site,
            site.sets_meant(set_, backup),
            work,
            backup=backup,
            depth=_rung(depth),
            again=again,
            accept_rollback=accept_rollback,
            proofs=from_ is None,  # a bare machine has no key to sign with, and no state to keep
        )

    execute(
        "backup.verify",
        lambda run: _on_site(run, config, call, folder=from_, key=trusted, set_name=set_),
        render=render_verifications,
        json=json,
        quiet=quiet,
        events=events,
    )


@task(
    iterable=["only"],
    help=options_help(
        set="name of the set; may be left out where there is one, or with --backup",
        store="which store of the set; may be left out where there is one",
        backup=_BACKUP,
        into="the configured store to restore into; the one it came from where it is left out",
        database="restore under this name",
        only="restore only this table, SCHEMA.TABLE; may be given again",
        overwrite="replace what is there; needs --confirm",
        confirm="the name of the place that is overwritten, typed in",
        globals="roles and tablespaces too",
        trusted=_TRUSTED,
        **{"from": _FROM},
    ),
)
def restore(
    _context: Context,
    only: list[str],
    set_: str | None = None,
    store: str = "",
    backup: str = "",
    into: str = "",
    database: str | None = None,
    overwrite: bool = False,
    confirm: str = "",
    globals_: bool = False,
    from_: str | None = None,
    trusted: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Restore a store into a live server, checked before and proven after."""
    from backup_lib.reports.restore import render_restore
    from backup_lib.services.restore import RestoreOutcome, RestoreRequest, restore_set
    from backup_lib.stores.base import RestoreOptions

    def call(site: Site, work: Work) -> RestoreOutcome:
        request = RestoreRequest(
            set_name=site.one_set(set_, backup),
            store=store,
            backup=backup,
            into=into,
            options=RestoreOptions(
                only=tuple(only), overwrite=overwrite, database=database, globals=globals_
            ),
            confirm=confirm,
        )
        return restore_set(site, request, work)

    execute(
        "backup.restore",
        lambda run: _on_site(
            run, config, call, folder=from_, key=trusted, set_name=set_, alerts=False
        ),
        render=render_restore,
        verdict=lambda outcome: outcome.content.verdict if outcome.content else None,
        lasting=True,
        json=json,
        quiet=quiet,
        events=events,
    )


@task(help=options_help())
def doctor(
    _context: Context,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Is everything in place, and what on these servers is not backed up?"""
    from backup_lib.reports.doctor import render_diagnosis
    from backup_lib.services.doctor import diagnose

    execute(
        "backup.doctor",
        lambda run: _on_site(run, config, diagnose),
        render=render_diagnosis,
        json=json,
        quiet=quiet,
        events=events,
    )


@task(
    help=options_help(
        make="make the signing key of this configuration",
        trust="trust this public key: a file, or its one-line text",
    )
)
def keys(
    _context: Context,
    make: bool = False,
    trust: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Make, trust and list signing keys."""
    from backup_lib.reports.keys import render_keys
    from backup_lib.services.keys import KeyEntry, list_keys, make_key, trust_key

    def call(site: Site, _work: Work) -> tuple[KeyEntry, ...]:
        if make:
            make_key(site)
        if trust:
            trust_key(site, trust)
        return list_keys(site)

    execute(
        "backup.keys",
        lambda run: _on_site(run, config, call, alerts=False),
        render=render_keys,
        lasting=True,
        json=json,
        quiet=quiet,
        events=events,
    )


collection = Collection("backup", run_, list_, show, verify, restore, doctor, keys)
