"""The restorer of the store ``postgres``: knows nothing but what the manifest says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from backup_lib.model import Artifact, Fingerprint, Gap, ServerFacts, StoreRecord, Target
from backup_lib.stores.base import ArtifactSource, AssertionResult, Restored, RestoreOptions
from backup_lib.stores.postgres import archive, catalog, databases, features, needs
from backup_lib.stores.postgres.address import ENCRYPTED
from backup_lib.stores.postgres.assertions import check
from backup_lib.stores.postgres.catalog import MONETARY
from backup_lib.stores.postgres.connection import connect, database_of, place_of
from backup_lib.stores.postgres.content import METHODS, Circumstances, compared, take
from backup_lib.stores.postgres.dump import DATABASE_ROLE, DIRECTORY_TYPE
from backup_lib.stores.postgres.judgement import NotAtOnce
from backup_lib.stores.postgres.locales import why_another
from backup_lib.stores.postgres.programs import Programs, client_tools
from backup_lib.stores.postgres.properties import (
    Properties,
    forget_settings,
    make_all,
    make_settings,
)
from backup_lib.stores.postgres.refreshing import left_empty, refresh, without_emptiness
from backup_lib.stores.postgres.restore import (
    RestoreJob,
    database_properties,
    fits,
    need_room,
    restore_file,
    restore_stream,
    table_of_contents,
    unpacked,
    with_database,
)
from backup_lib.stores.postgres.roles import (
    existing_roles,
    make_placeholders,
    restore_roles,
    restore_settings_of_all,
)
from backup_lib.stores.postgres.streams import restore_streams
from backup_lib.work import Work
from restoreproof.errors import (
    Inconclusive,
    JudgedBad,
    Refused,
    RestoreproofError,
    Unreachable,
    UsageError,
)

if TYPE_CHECKING:
    from backup_lib.sandboxes.base import ServerRecipe

_WORTH_PARALLEL = 64 * 1024 * 1024
"""Bytes of a dump from which on several jobs are faster than reading it only once."""

_MOST_JOBS = 8
_TOOLS = ("pg_restore", "psql")


@dataclass(frozen=True, slots=True)
class _Plan:
    """One restore while it runs."""

    source: ArtifactSource
    target: Target
    options: RestoreOptions
    work: Work
    database: catalog.Database
    programs: Programs
    artifact: Artifact

    @property
    def table_sizes(self) -> dict[int, int] | None:
        """Bytes by OID at the source, of the largest tables; None where the set does not tell."""
        told = self.source.record.backup.details.get("table_sizes")
        if not isinstance(told, dict):
            return None
        return {int(oid): size for oid, size in told.items() if isinstance(size, int)}

    @property
    def name(self) -> str:
        """What the restored database is called in the end."""
        if self.options.database is None and self.target.disposable:
            return self.database.name
        return self.options.database or database_of(self.target)

    @property
    def keeps_properties(self) -> bool:
        """Whether settings, grants and comment of the database stay: they belong to its name."""
        return not self.options.only and self.name == self.database.name

    @property
    def refreshes(self) -> bool:
        """Whether materialized views are computed by us, since a query of theirs may write."""
        return self.target.disposable and bool(self.database.refreshed)

    def settings(self, properties: Properties) -> dict[str, str]:
        """Of the sessions that load the dump."""
        money = {"lc_monetary": MONETARY} if self.database.money else {}
        return {**properties.overridden(), **money}


class PostgresRestorer:
    """Restores into a PostgreSQL server, and reads back."""

    def recipe(self, record: StoreRecord) -> ServerRecipe:
        from backup_lib.stores.postgres.server import PostgresRecipe

        return PostgresRecipe(lambda facts: not self.gaps(record, facts))

    def gaps(self, record: StoreRecord, offers: ServerFacts) -> tuple[Gap, ...]:
        return needs.gaps(record, offers)

    def place(self, target: Target, options: RestoreOptions) -> str:
        return options.database or database_of(target)

    def restore(
        self, source: ArtifactSource, target: Target, options: RestoreOptions, work: Work
    ) -> Restored:
        if options.only and options.overwrite:
            raise UsageError(
                "single tables cannot replace a whole database",
                hint="leave --overwrite out, and restore them under another name (--database NAME)",
            )
        target = databases.without_event_triggers(target, self.place(target, options))
        if target.disposable:
            return _into_sandbox(_plan(source, target, options, work))
        _refuse_older_server(source.record, target, options)
        return _into_server(_plan(source, target, options, work))

    def fingerprint(self, record: StoreRecord, target: Target, work: Work) -> Fingerprint:
        taken = record.backup.fingerprint
        jobs = min(work.jobs, _MOST_JOBS)
        if taken is None:  # a dump that some other tool made: what is in it, and no more
            return take(lambda: connect(target), jobs=jobs, work=work)
        if taken.method not in METHODS:
            raise Inconclusive(
                f"the backup's fingerprint is of the method {taken.method}, unknown here",
                hint="verify it with a version of this software that knows it",
            )
        found = compared(
            lambda: connect(target),
            taken,
            Circumstances(
                features.major(record.backup.server.version),
                disposable=target.disposable,
                other_locale=partial(why_another, record, target),
            ),
            jobs=jobs,
            work=work,
        )
        refreshed = catalog.Database.from_details(record.backup.details).refreshed
        if not refreshed:
            return found
        return without_emptiness(found, left_empty(target, refreshed))

    def check_assertions(
        self, target: Target, assertions: Sequence[str], work: Work
    ) -> tuple[AssertionResult, ...]:
        return check(target, assertions, work)


def _plan(source: ArtifactSource, target: Target, options: RestoreOptions, work: Work) -> _Plan:
    record = source.record
    database = catalog.Database.from_details(record.backup.details)
    dumped_by = str(record.backup.details.get("dumped_by") or record.backup.server.version)
    artifact = next((a for a in record.artifacts if a.role == DATABASE_ROLE), None)
    if artifact is None:
        raise JudgedBad(
            f"the set holds no dump of {record.name}", hint="backup.show lists what is in it"
        )
    encrypted = target.params.get("sslmode") in ENCRYPTED
    programs = client_tools(features.major(dumped_by), encrypted=encrypted, names=_TOOLS)
    return _Plan(source, target, options, work, database, programs, artifact)


def _into_sandbox(plan: _Plan) -> Restored:
    """Straight into a disposable server: roles first, so that owners and grants can be kept."""
    target, name = plan.target, plan.name
    notes: list[str] = []
    properties = _properties(plan)
    with databases.administration(target, name) as admin:
        notes += _roles(plan, admin)
        databases.drop(admin, name)
        other = databases.create(admin, name, plan.database, disposable=True)
        if other:
            notes.append(
                f"the locale {plan.database.collate} is not on this server: "
                f"{other} instead, which sorts differently and changes no content"
            )
        if not plan.database.public:
            databases.drop_public(target, name)
        make_placeholders(admin, plan.database.roles)
        databases.give_to(admin, name, plan.database)
        place = with_database(target, admin.info.dbname)
        make_settings(properties, place, name, plan.programs, plan.work, roles=True, strict=True)
        job = RestoreJob(
            target,
            name,
            plan.programs,
            catalog.major(admin),
            keep_owners=True,
            tablespaces=False,
            jobs=min(plan.work.jobs, _MOST_JOBS),
            other_locale=bool(other),
            settings=plan.settings(properties),
        )
        tolerated = _restore(plan, job)
        if plan.refreshes:
            refresh(with_database(target, name), plan.database.refreshed)
        notes += _keep_properties(plan, properties, admin, name)
    return Restored(with_database(target, name), tolerated, tuple(notes))


def _into_server(plan: _Plan) -> Restored:
    """Aside, under a name of its own; renamed at the end, so that a failure changes nothing."""
    target, name, options = plan.target, plan.name, plan.options
    properties = _properties(plan)
    with databases.administration(target, name) as admin:
        major = catalog.major(admin)
        there = databases.present(admin, target, name)
        databases.refuse_used(
            target, name, there, overwrite=options.overwrite, only=bool(options.only)
        )
        notes = databases.sweep(admin, target)
        notes += _roles(plan, admin) if options.globals else []
        missing = sorted({*plan.database.roles} - existing_roles(admin))
        keep_owners = not missing and databases.is_superuser(admin)
        if not keep_owners:
            why = f"the roles {', '.join(missing)} are missing" if missing else "no superuser"
            notes.append(f"owners and grants were not restored: {why}")
        job = RestoreJob(
            target,
            name,
            plan.programs,
            major,
            keep_owners=keep_owners,
            tablespaces=databases.has_tablespaces(admin, plan.database.tablespaces),
            jobs=min(plan.work.jobs, _MOST_JOBS),
            settings=plan.settings(properties),
        )
        if databases.may_create(admin):
            restored = _aside(plan, job, admin, properties, replaces=there.exists)
        else:
            restored = _straight(plan, job, exists=there.exists)
        notes += restored.notes
        if plan.database.refreshed and not options.only:
            notes.append(
                "materialized views were computed anew, and a function that one of their queries "
                "calls may write: what it wrote is in the restored database, and not in the backup"
            )
        notes += [
            f"the event trigger {trigger} fires for our own sessions too: what it writes when "
            "somebody logs in is in the restored database, and not in the backup"
            for trigger in databases.login_triggers(admin, target, name)
        ]
        if options.globals:
            # last: nothing of ours runs under them
            notes += restore_settings_of_all(admin, plan.source)
    return replace(restored, notes=tuple(notes))


def _aside(
    plan: _Plan,
    job: RestoreJob,
    admin: psycopg.Connection,
    properties: Properties,
    *,
    replaces: bool,
) -> Restored:
    """Whole, and found to be right, before it gets the name."""
    options = plan.options
    with databases.aside(admin, plan.database) as name:
        place = with_database(plan.target, name)
        if not plan.database.public:
            databases.drop_public(plan.target, name)
        remarks = make_settings(
            properties,
            with_database(plan.target, admin.info.dbname),
            name,
            plan.programs,
            plan.work,
            roles=job.keep_owners and plan.keeps_properties,
            strict=False,
        )
        tolerated = _restore(plan, replace(job, database=name))
        if job.keep_owners:
            databases.give_to(admin, name, plan.database)
        if job.keep_owners or not plan.keeps_properties:
            remarks += _keep_properties(plan, properties, admin, name)
        plan.work.cancel.check()
        if options.check:
            options.check(place)
        plan.work.cancel.check()
        if replaces:
            databases.swap_in(admin, plan.target, name, job.database, overwrite=options.overwrite)
        else:
            databases.rename(admin, name, job.database)
    return Restored(
        job.place, tolerated, tuple(dict.fromkeys(remarks)), checked=options.check is not None
    )


def _straight(plan: _Plan, job: RestoreJob, *, exists: bool) -> Restored:
    """Into an empty database of that name, where the role may make none itself.

    Every digest is checked before the first statement. All of it is one transaction, so that a
    failure leaves nothing behind, unless the server stops that at an error which is tolerated, or
    has no room for so many locks: then it is one statement after the other.
    """
    if not exists or plan.options.overwrite:
        user = plan.target.params.get("user", "the user")
        raise Unreachable(
            f"{user} may not make databases on {place_of(plan.target)}",
            hint=f'ALTER ROLE "{user}" CREATEDB, or have an empty database {plan.name} made',
        )
    try:
        tolerated = _restore(plan, replace(job, jobs=1, at_once=True), staged=True)
    except NotAtOnce:
        try:
            tolerated = _restore(plan, job, staged=True)
        except RestoreproofError as error:
            error.hint = (
                f"{error.hint}; part of it is in {plan.name}: have that made anew, empty, before "
                "you try again"
            )
            raise
    return Restored(job.place, tolerated)


def _restore(plan: _Plan, job: RestoreJob, *, staged: bool = False) -> tuple[str, ...]:
    """From streams, or from a file where it has to be one."""
    artifact, work = plan.artifact, plan.work
    as_is = artifact.media_type != DIRECTORY_TYPE and not (staged or plan.options.only)
    parallel = job.jobs > 1 and artifact.plain_size >= _WORTH_PARALLEL
    sizes = plan.table_sizes
    if as_is and parallel and plan.target.disposable and sizes is not None:
        return restore_streams(
            job,
            lambda: plan.source.open(DATABASE_ROLE),
            work,
            sizes=sizes,
            total=artifact.plain_size,
            take=archive.without_refresh if plan.refreshes else list,
        )
    if as_is and not plan.refreshes and not (parallel and fits(work.scratch, artifact.plain_size)):
        with plan.source.open(DATABASE_ROLE) as stream:
            return restore_stream(replace(job, jobs=1), stream, work, total=artifact.plain_size)
    with _file(plan) as path:
        entries = None
        if plan.options.only:
            listing = table_of_contents(plan.programs, path, work, "--verbose")
            entries = archive.parts(
                archive.contents(listing), plan.options.only, plan.database.roles
            )
        elif plan.refreshes:
            listing = table_of_contents(plan.programs, path, work)
            entries = archive.without_refresh(archive.contents(listing))
        return restore_file(job, path, work, entries=entries)


@contextmanager
def _file(plan: _Plan) -> Iterator[Path]:
    """The dump as a file or folder, its digest checked."""
    with ExitStack() as stack:
        if plan.artifact.media_type == DIRECTORY_TYPE:
            stream = stack.enter_context(plan.source.open(DATABASE_ROLE))
            yield stack.enter_context(unpacked(stream, plan.artifact.plain_size, plan.work))
            return
        need_room(plan.work.scratch, plan.artifact.plain_size)
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="restore-", dir=plan.work.scratch)
        )
        yield plan.source.stage(DATABASE_ROLE, Path(folder))


def _properties(plan: _Plan) -> Properties:
    """Settings, grants and comment of the database itself."""
    if plan.artifact.media_type == DIRECTORY_TYPE:
        with _file(plan) as folder:
            return Properties(database_properties(plan.programs, folder, plan.work))
    return Properties(
        database_properties(plan.programs, lambda: plan.source.open(DATABASE_ROLE), plan.work)
    )


def _keep_properties(
    plan: _Plan, properties: Properties, admin: psycopg.Connection, name: str
) -> tuple[str, ...]:
    """All of them, where the database gets the name that it has at the source; else none.

    Args:
        plan: of this restore.
        properties: of the source.
        admin: a session in another database.
        name: what the database is called at the moment.

    Returns:
        remarks for people; on a server that is kept, what it does not take is one of them, and no
        reason to fail.
    """
    if not plan.keeps_properties:
        forget_settings(admin, name)
        left_out = ", ".join(properties.named())
        what = (
            f"settings of the database itself belong to its name and were not restored: {left_out}"
        )
        return (what,) if left_out else ()
    place = with_database(plan.target, admin.info.dbname)
    strict = plan.target.disposable
    return make_all(properties, place, name, plan.programs, plan.work, strict=strict)


def _roles(plan: _Plan, admin: psycopg.Connection) -> list[str]:
    place = with_database(plan.target, admin.info.dbname)
    return restore_roles(place, admin, plan.programs, plan.source, plan.work)


def _refuse_older_server(record: StoreRecord, target: Target, options: RestoreOptions) -> None:
    with databases.administration(target, options.database or database_of(target)) as admin:
        offers = ServerFacts(catalog.PRODUCT, catalog.version(admin))
    for gap in needs.gaps(record, offers):
        if gap.need.feature == features.SERVER:
            raise Refused(gap.message, hint=gap.hint)
