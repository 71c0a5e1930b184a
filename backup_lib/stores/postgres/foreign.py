"""Dumps that some other tool made: no manifest, no fingerprint, only the file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from backup_lib.model import Need, ServerFacts, StoreBackup, StoreRecord, Target
from backup_lib.stores.base import ForeignFile, Restored
from backup_lib.stores.postgres import archive, archive_head, catalog, databases, features
from backup_lib.stores.postgres.plain import FOREIGN_ALLOWED, HEAD_SIZE, look_at, run_script
from backup_lib.stores.postgres.programs import Programs, newest_first
from backup_lib.stores.postgres.restore import (
    RestoreJob,
    printed_by_pg_restore,
    restore_file,
    with_database,
)
from backup_lib.work import Work
from restoreproof.errors import Inconclusive
from restoreproof.events import step

DATABASE = "restored"

_MOST_JOBS = 8
_DUMPED_FROM = re.compile(rb"^-- Dumped from database version (\d[\w.]*)", re.MULTILINE)
_NO_OWNERS = "owners and grants were not restored: the file brings no roles"


class PostgresForeign:
    """Dumps of ``pg_dump`` in all its formats, and other SQL."""

    def describe(self, file: ForeignFile) -> StoreRecord:
        version = _server_version(file)
        needs: tuple[Need, ...] = ()
        if version:
            needs = (Need(features.SERVER, str(features.major(version)), "dumped from it"),)
        backup = StoreBackup(
            server=ServerFacts(catalog.PRODUCT, version),
            moment=datetime.fromtimestamp(file.path.stat().st_mtime, UTC),
            fingerprint=None,
            needs=needs,
        )
        return StoreRecord(file.path.name, "postgres", backup, ())

    def restore_file(self, file: ForeignFile, target: Target, work: Work) -> Restored:
        if file.kind == "postgres-sql":
            with file.open() as stream:
                return restore_plain_sql(stream, target, work)
        with file.on_disk() as path:
            return restore_archive_file(path, target, work)


def _server_version(file: ForeignFile) -> str:
    """Of the server that it was dumped from, such as ``18.6``; empty where it does not tell."""
    if file.path.is_dir():
        with (file.path / "toc.dat").open("rb") as contents:
            head = contents.read(archive_head.ORIGIN_SIZE)
    else:
        with file.open() as stream:
            head = stream.read(HEAD_SIZE)
    if file.kind == "postgres-sql":
        found = _DUMPED_FROM.search(head)
        return found[1].decode() if found else ""
    origin = archive_head.origin(head)
    return origin.server if origin and origin.server[:1].isdigit() else ""


def restore_plain_sql(stream: BinaryIO, target: Target, work: Work) -> Restored:
    """Run a plain SQL dump in a new database of a disposable server.

    Args:
        stream: the SQL, decompressed.
        target: a sandbox.
        work: the circumstances.

    Raises:
        JudgedBad: it fails, or it is cut.
        Inconclusive: it wants something of psql itself, or the server lacks what it needs.
        Unreachable, NoSpace: the server is the trouble.
        UsageError: there is no psql.
    """
    first = stream.read(HEAD_SIZE)
    programs = newest_first("psql")[0]  # who wrote the dump is not known yet
    place = _new_database(target, look_at(first).encoding)
    with step(work.emit, "restore", "running the SQL dump"):
        tolerated = run_script(place, programs, stream, work, first=first, allowed=FOREIGN_ALLOWED)
    return Restored(place, tolerated, ("roles that the dump names were not made",))


def restore_archive_file(path: Path, target: Target, work: Work) -> Restored:
    """Restore an archive (custom, tar or directory format) into a new database of a sandbox.

    Raises:
        JudgedBad: it cannot be restored.
        Inconclusive: the server lacks what it needs; or no pg_restore here is new enough for it, or
            built with its compression.
        Unreachable, NoSpace: the server is the trouble.
        UsageError: there is no pg_restore.
    """
    programs, header = _readable(path, work)
    place = _new_database(target, look_at(header).encoding)
    with databases.administration(target, DATABASE) as admin:
        server_major = catalog.major(admin)
    job = RestoreJob(
        target,
        DATABASE,
        programs,
        server_major,
        keep_owners=False,
        tablespaces=False,
        jobs=1 if archive.is_tar(path) else min(work.jobs, _MOST_JOBS),
        allowed=FOREIGN_ALLOWED,
        other_locale=True,
    )
    return Restored(place, restore_file(job, path, work), (_NO_OWNERS,))


def _readable(path: Path, work: Work) -> tuple[Programs, bytes]:
    """The newest pg_restore that is built for the archive, and what it prints at its beginning."""
    hindered: Inconclusive | None = None
    for programs in newest_first("pg_restore"):
        try:
            arguments = ["--schema-only", "--file=-"]
            return programs, printed_by_pg_restore(programs, arguments, path, work)
        except Inconclusive as lacking:
            hindered = hindered or lacking
    assert hindered is not None
    raise hindered


def _new_database(target: Target, encoding: str) -> Target:
    like = catalog.Database.from_details({"encoding": encoding or "UTF8"})
    with databases.administration(target, DATABASE) as admin:
        databases.drop(admin, DATABASE)
        databases.create(admin, DATABASE, like, disposable=True)
    return with_database(target, DATABASE)
