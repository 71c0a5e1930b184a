"""Restoring a dump into a database, strictly."""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, TypeAlias

import psycopg

from backup_lib.model import Target
from backup_lib.stores.postgres import archive
from backup_lib.stores.postgres.access import access
from backup_lib.stores.postgres.connection import APPLICATION, connect, with_settings
from backup_lib.stores.postgres.judgement import judge_archive, tool_lacks
from backup_lib.stores.postgres.programs import TOOL_LACKS, Programs
from backup_lib.work import Work
from restoreproof.errors import JudgedBad, NoSpace, RestoreproofError
from restoreproof.events import Step, step
from restoreproof.process import Finished, clean_env, run
from restoreproof.process.diagnostics import last_meaningful_line

OpenArchive: TypeAlias = "Callable[[], AbstractContextManager[BinaryIO]]"

_CHUNK = 1024 * 1024
_HEAD_ROOM = 1.05

# What moves on the server while pg_restore itself waits for it: a new statement, or one that is
# at work, as against one that waits for a lock or for a client.
_PULSE = """
SELECT array_agg((pid, query_start)::text ORDER BY pid),
       CASE WHEN bool_or(state = 'active' AND coalesce(wait_event_type, '') NOT IN
                         ('Lock', 'Client', 'IPC', 'Extension')) THEN clock_timestamp() END
FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class RestoreJob:
    """One run of pg_restore.

    Attributes:
        target: the server.
        database: to restore into; it exists and is empty.
        programs: folder of the tools.
        server_major: of the server.
        keep_owners: restore owners and grants; the roles exist.
        tablespaces: put objects where they were.
        jobs: connections; more than one needs a file.
        at_once: in one transaction, by one job; :class:`.judgement.NotAtOnce` where that fails for
            a reason that would be none without it.
        other_locale: the database has another locale than the source had.
        allowed: further messages that are no reason to fail.
        settings: of its sessions, beyond those that pg_restore itself sets.
    """

    target: Target
    database: str
    programs: Programs
    server_major: int
    keep_owners: bool
    tablespaces: bool
    jobs: int = 1
    at_once: bool = False
    other_locale: bool = False
    allowed: tuple[re.Pattern[str], ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> Target:
        """The target, with the database that is restored into."""
        return with_database(self.target, self.database)

    def options(self) -> list[str]:
        """Of pg_restore, without connection and archive."""
        return [
            *([] if self.keep_owners else ["--no-owner", "--no-acl"]),
            *([] if self.tablespaces else ["--no-tablespaces"]),
            *([f"--jobs={self.jobs}"] if self.jobs > 1 else []),
            *(["--single-transaction"] if self.at_once else []),
        ]


def with_database(target: Target, database: str) -> Target:
    """The same server, another database."""
    return replace(target, params={**target.params, "dbname": database})


def restore_stream(
    job: RestoreJob, stream: BinaryIO, work: Work, *, total: int | None = None
) -> tuple[str, ...]:
    """Restore a custom-format archive that is read once, from the front.

    Returns:
        tolerated errors.

    Raises:
        JudgedBad, Unreachable, Inconclusive, NoSpace: see :func:`.judgement.judge_archive`.
    """
    with step(work.emit, "restore", "restoring the database", total=total) as telling:
        pieces = _counted(stream, telling)
        return pg_restore(job, ["--format=custom"], work, stdin=pieces)


def restore_file(
    job: RestoreJob, path: Path, work: Work, *, entries: list[archive.Entry] | None = None
) -> tuple[str, ...]:
    """Restore an archive file or a directory-format folder; or parts of it.

    Returns:
        tolerated errors.

    Raises:
        JudgedBad, Unreachable, Inconclusive, NoSpace: see :func:`.judgement.judge_archive`.
    """
    with step(work.emit, "restore", "restoring the database"):
        if entries is None:
            return pg_restore(job, [str(path.absolute())], work)
        with only(entries, work) as option:
            return pg_restore(job, [option, str(path.absolute())], work)


@contextmanager
def only(entries: Iterable[archive.Entry], work: Work) -> Iterator[str]:
    """The option of pg_restore that makes it take these entries of an archive."""
    with tempfile.TemporaryDirectory(prefix="restore-", dir=work.scratch) as scratch:
        listing = Path(scratch, "list")
        listing.write_text(archive.list_file(entries), encoding="utf-8")
        yield f"--use-list={listing}"


def database_properties(programs: Programs, open_archive: OpenArchive | Path, work: Work) -> bytes:
    """SQL for settings, grants and comment of the database itself; empty where it has none.

    pg_restore writes them only together with ``CREATE DATABASE``, from which they are taken out.
    """
    listing = table_of_contents(programs, open_archive, work, "--verbose", "--create")
    wanted = archive.database_entries(archive.contents(listing))
    if not wanted:
        return b""
    with tempfile.TemporaryDirectory(prefix="restore-", dir=work.scratch) as scratch:
        listing_file = Path(scratch, "list")
        listing_file.write_text(archive.list_file(wanted), encoding="utf-8")
        script = printed_by_pg_restore(
            programs, ["--create", f"--use-list={listing_file}", "--file=-"], open_archive, work
        )
    return archive.properties_in(script)


def table_of_contents(
    programs: Programs,
    open_archive: OpenArchive | Path,
    work: Work,
    *options: str,
) -> str:
    """What ``pg_restore --list`` prints about an archive, with further options.

    With ``--verbose`` that is every entry, whatever else is asked for, and what it depends on.

    Raises:
        JudgedBad: it is not a readable archive.
    """
    arguments = ["--list", *options]
    return printed_by_pg_restore(programs, arguments, open_archive, work).decode(
        "utf-8", "surrogateescape"
    )


def printed_by_pg_restore(
    programs: Programs, arguments: list[str], open_archive: OpenArchive | Path, work: Work
) -> bytes:
    """What pg_restore prints about an archive, when it does not restore it.

    Raises:
        JudgedBad: it is not a readable archive.
        Inconclusive: this pg_restore is too old for it, or built without its compression.
    """
    printed = bytearray()

    def ask(more: list[str], stdin: Iterator[bytes] | None) -> Finished:
        return run(
            [programs.path("pg_restore"), *arguments, *more],
            env=clean_env(),
            stdin=stdin,
            stdout=printed.extend,
            stall_timeout=work.stall_timeout,
            cancel=work.cancel,
            accept=(0, 1),
        )

    if isinstance(open_archive, Path):
        finished = ask([str(open_archive.absolute())], None)
    else:
        with open_archive() as stream:
            finished = ask(["--format=custom"], _pieces(stream))
    if any(sign in finished.stderr for sign in TOOL_LACKS):  # also a mere warning: without its data
        said = last_meaningful_line(finished.stderr, "pg_restore")
        raise tool_lacks(f"pg_restore {programs.version}", said)
    if finished.returncode:
        raise JudgedBad(
            "the archive's table of contents cannot be read: "
            + last_meaningful_line(finished.stderr, "pg_restore"),
            hint="use an older backup set, and find out what damaged this one",
        )
    return bytes(printed)


@contextmanager
def unpacked(stream: BinaryIO, size: int, work: Work) -> Iterator[Path]:
    """A directory-format dump out of the tar it was stored as.

    Raises:
        NoSpace: the scratch folder has no room for it.
        JudgedBad: it is no such tar.
    """
    need_room(work.scratch, size)
    with tempfile.TemporaryDirectory(prefix="restore-", dir=work.scratch) as scratch:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    work.cancel.check()
                    content = tar.extractfile(member) if member.isreg() else None
                    if content is None or "/" in member.name or member.name in {".", ".."}:
                        raise tarfile.TarError(f"unexpected member {member.name!r}")
                    # not tar.extract: its filters are missing before Python 3.11.4
                    with content, Path(scratch, member.name).open("xb") as file:
                        shutil.copyfileobj(content, file, 1 << 20)
        except tarfile.TarError as error:
            raise JudgedBad(
                f"the dump is not a whole tar: {error}",
                hint="use an older backup set, and find out what damaged this one",
            ) from error
        except OSError as error:
            raise NoSpace(
                f"the dump cannot be unpacked into {work.scratch}: {error.strerror}",
                hint="name a scratch folder with more room",
            ) from error
        while stream.read(_CHUNK):
            pass  # to the end: only there the digest is checked
        yield Path(scratch)


def need_room(folder: Path, size: int) -> None:
    """Check that a file of that size fits.

    Raises:
        NoSpace: it does not.
    """
    if not fits(folder, size):
        raise NoSpace(
            f"{folder} has no room for {size} bytes",
            hint="free some room there, or name another scratch folder",
        )


def fits(folder: Path, size: int) -> bool:
    """Whether a file of that size fits into a folder's disk."""
    return shutil.disk_usage(folder).free > size * _HEAD_ROOM


def pg_restore(
    job: RestoreJob, arguments: list[str], work: Work, *, stdin: Iterator[bytes] | None = None
) -> tuple[str, ...]:
    """Run it once, with these arguments and those of the job.

    Returns:
        tolerated errors.

    Raises:
        JudgedBad, Unreachable, Inconclusive, NoSpace: see :func:`.judgement.judge_archive`.
    """
    pulse = _Pulse(job.target)
    try:
        with access(with_settings(job.target, job.settings), dbname=job.database) as way:
            finished = run(
                [
                    job.programs.path("pg_restore"),
                    f"--dbname={way.conninfo}",
                    "--no-password",
                    *job.options(),
                    *arguments,
                ],
                env=way.env,
                pass_fds=way.pass_fds,
                stdin=stdin,
                stall_timeout=work.stall_timeout,
                cancel=work.cancel,
                accept=(0, 1),
                progress=pulse.feel,
            )
    finally:
        pulse.close()
    return judge_archive(
        finished,
        job.place,
        job.server_major,
        at_once=job.at_once,
        other_locale=job.other_locale,
        allowed=job.allowed,
    )


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(_CHUNK):
        yield piece


def _counted(stream: BinaryIO, telling: Step) -> Iterator[bytes]:
    for piece in _pieces(stream):
        yield piece
        telling.advance(len(piece))


class _Pulse:
    """Whether the server does something: asked while pg_restore itself waits for it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: psycopg.Connection | None = None

    def feel(self) -> object:
        """Anything that changes while the server works; None where it does not say."""
        try:
            if self._connection is None:
                self._connection = connect(self._target)
            return self._connection.execute(_PULSE, (APPLICATION,)).fetchone()
        except (psycopg.Error, RestoreproofError):
            return None

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
