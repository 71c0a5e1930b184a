"""The restorer of the store ``postgres``: knows nothing but what the manifest says."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from backup_lib.model import Artifact, Fingerprint, Gap, ServerFacts, StoreRecord, Target
from backup_lib.stores.base import ArtifactSource, AssertionResult, Restored, RestoreOptions
from backup_lib.stores.postgres import archive, catalog, databases, features, needs
from backup_lib.stores.postgres.address import ENCRYPTED
from backup_lib.stores.postgres.assertions import check
from backup_lib.stores.postgres.cluster import ROLES_ROLE
from backup_lib.stores.postgres.connection import connect, database_of, place_of
from backup_lib.stores.postgres.content import METHOD, ROWS_METHOD, Circumstances, compared, take
from backup_lib.stores.postgres.dump import DATABASE_ROLE, DIRECTORY_TYPE
from backup_lib.stores.postgres.judgement import NotAtOnce
from backup_lib.stores.postgres.plain import run_script
from backup_lib.stores.postgres.programs import Programs, client_tools
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
from backup_lib.stores.postgres.roles import existing_roles, make_placeholders, restore_roles
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
    def name(self) -> str:
        """What the restored database is called in the end."""
        if self.options.database is None and self.target.disposable:
            return self.database.name
        return self.options.database or database_of(self.target)


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
        if target.disposable:
            return _into_sandbox(_plan(source, target, options, work))
        _refuse_older_server(source.record, target, options)
        return _into_server(_plan(source, target, options, work))

    def fingerprint(self, record: StoreRecord, target: Target, work: Work) -> Fingerprint:
        taken = record.backup.fingerprint
        jobs = min(work.jobs, _MOST_JOBS)
        if taken is None:  # a dump that some other tool made: what is in it, and no more
            return take(lambda: connect(target), snapshot=None, jobs=jobs, work=work)
        if taken.method not in (METHOD, ROWS_METHOD):
            raise Inconclusive(
                f"the backup's fingerprint is of the method {taken.method}, unknown here",
                hint="verify it with a version of this software that knows it",
            )
        return compared(
            lambda: connect(target),
            taken,
            Circumstances(
                features.major(record.backup.server.version), disposable=target.disposable
            ),
            jobs=jobs,
            work=work,
        )

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
        job = RestoreJob(
            target,
            name,
            plan.programs,
            catalog.major(admin),
            keep_owners=True,
            tablespaces=False,
            jobs=min(plan.work.jobs, _MOST_JOBS),
            other_locale=bool(other),
        )
    tolerated = _restore(plan, job)
    notes += _properties(plan, name)
    return Restored(with_database(target, name), tolerated, tuple(notes))


def _into_server(plan: _Plan) -> Restored:
    """Aside, under a name of its own; renamed at the end, so that a failure changes nothing."""
    target, name, options = plan.target, plan.name, plan.options
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
        )
        if databases.may_create(admin):
            restored = _aside(plan, job, admin, replaces=there.exists)
        else:
            restored = _straight(plan, job, exists=there.exists)
    return replace(restored, notes=(*notes, *restored.notes))


def _aside(plan: _Plan, job: RestoreJob, admin: psycopg.Connection, *, replaces: bool) -> Restored:
    """Whole, and found to be right, before it gets the name."""
    options = plan.options
    notes: tuple[str, ...] = ()
    with databases.aside(admin, plan.database) as name:
        place = with_database(plan.target, name)
        if not plan.database.public:
            databases.drop_public(plan.target, name)
        tolerated = _restore(plan, replace(job, database=name))
        if job.keep_owners:
            databases.give_to(admin, name, plan.database)
            notes = _properties(plan, name)
        plan.work.cancel.check()
        if options.check:
            options.check(place)
        plan.work.cancel.check()
        if replaces:
            databases.swap_in(admin, plan.target, name, job.database, overwrite=options.overwrite)
        else:
            databases.rename(admin, name, job.database)
    return Restored(job.place, tolerated, notes, checked=options.check is not None)


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
    """From a stream where one job will do; else from a file."""
    artifact, work = plan.artifact, plan.work
    parallel = (
        job.jobs > 1
        and artifact.plain_size >= _WORTH_PARALLEL
        and fits(work.scratch, artifact.plain_size)
    )
    if artifact.media_type != DIRECTORY_TYPE and not (staged or parallel or plan.options.only):
        with plan.source.open(DATABASE_ROLE) as stream:
            return restore_stream(replace(job, jobs=1), stream, work, total=artifact.plain_size)
    with _file(plan) as path:
        entries = None
        if plan.options.only:
            listing = table_of_contents(plan.programs, path, work)
            entries = archive.parts(
                archive.contents(listing), plan.options.only, plan.database.roles
            )
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


def _properties(plan: _Plan, place: str) -> tuple[str, ...]:
    """Settings, grants and comment of the database itself, where it keeps the source's name.

    Args:
        plan: of this restore.
        place: what the database is called at the moment.

    Returns:
        remarks for people; on a server that is kept, what it does not take is one of them, and no
        reason to fail.
    """
    if plan.options.only or plan.name != plan.database.name:
        return ("settings of the database itself belong to its name and were not restored",)
    if plan.artifact.media_type == DIRECTORY_TYPE:
        with _file(plan) as folder:
            script = database_properties(plan.programs, folder, plan.work)
    else:
        script = database_properties(
            plan.programs, lambda: plan.source.open(DATABASE_ROLE), plan.work
        )
    if not script:
        return ()
    stream = io.BytesIO(archive.about_database(script, place))
    try:
        run_script(with_database(plan.target, place), plan.programs, stream, plan.work)
    except (JudgedBad, Inconclusive, Unreachable) as refused:
        if plan.target.disposable:
            raise
        return (f"settings of the database itself were not all restored: {refused.message}",)
    return ()


def _roles(plan: _Plan, admin: psycopg.Connection) -> list[str]:
    """Roles of the source, where the set has them."""
    if not any(artifact.role == ROLES_ROLE for artifact in plan.source.record.artifacts):
        return ["the set holds no roles"]
    with plan.source.open(ROLES_ROLE) as stream:
        return restore_roles(
            with_database(plan.target, admin.info.dbname), admin, plan.programs, stream, plan.work
        )


def _refuse_older_server(record: StoreRecord, target: Target, options: RestoreOptions) -> None:
    with databases.administration(target, options.database or database_of(target)) as admin:
        offers = ServerFacts(catalog.PRODUCT, catalog.version(admin))
    for gap in needs.gaps(record, offers):
        if gap.need.feature == features.SERVER:
            raise Refused(gap.message, hint=gap.hint)
