"""Running pg_dump against an exported snapshot, its output checked while it is written."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from backup_lib.model import Target
from backup_lib.stores.base import ArtifactSink, ArtifactWriter
from backup_lib.stores.postgres.access import Access, access
from backup_lib.stores.postgres.connection import with_settings
from backup_lib.stores.postgres.diagnosis import cause, dump_failed
from backup_lib.stores.postgres.programs import Programs
from backup_lib.work import Work
from restoreproof.errors import Unreachable
from restoreproof.events import Step, step
from restoreproof.process import Cancellation, ChildFailed, Inlet, clean_env, run
from restoreproof.together import together

DATABASE_ROLE = "database"
CUSTOM_NAME = "database.dump"
DIRECTORY_NAME = "database.tar"
CUSTOM_TYPE = "application/vnd.postgresql.dump"
DIRECTORY_TYPE = "application/x-tar"

_HEAD_ROOM = 1.1


@dataclass(frozen=True, slots=True)
class DumpJob:
    """What to dump, and with what.

    Attributes:
        target: the source.
        application: name of the sessions on the server.
        snapshot: name of the exported snapshot.
        programs: folder of the tools.
        jobs: connections, for the directory format.
        lock_timeout: seconds that pg_dump may wait for its locks.
        pulse: changes while the server works for us though no byte arrives.
        settings: of its sessions, beyond those that pg_dump itself sets.
    """

    target: Target
    application: str
    snapshot: str
    programs: Programs
    jobs: int
    lock_timeout: float
    pulse: Callable[[], object]
    settings: Mapping[str, str] = field(default_factory=dict)

    def access(self) -> AbstractContextManager[Access]:
        """How pg_dump gets at the source."""
        return access(with_settings(self.target, self.settings), application=self.application)

    def argv(self, conninfo: str) -> list[str]:
        """pg_dump without its format options."""
        return [
            self.programs.path("pg_dump"),
            f"--dbname={conninfo}",
            f"--snapshot={self.snapshot}",
            f"--lock-wait-timeout={round(self.lock_timeout * 1000)}",
            "--compress=0",
            "--no-password",
        ]


def has_room(folder: Path, size: int) -> bool:
    """Whether a directory-format dump of a database of that size surely fits."""
    return shutil.disk_usage(folder).free > size * _HEAD_ROOM


def dump_custom(job: DumpJob, sink: ArtifactSink, work: Work, cancel: Cancellation) -> None:
    """Stream ``pg_dump -Fc`` into the sink.

    The same bytes go through ``pg_restore``, which reads all of them and writes nothing: output
    that is not a whole archive is never stored, whatever exit code pg_dump ended with.

    Raises:
        Unreachable: pg_dump failed, or its output is no whole archive.
        Interrupted: ``cancel`` was requested.
    """
    with (
        step(work.emit, "dump", "dumping the database", monotonic=work.clock.monotonic) as telling,
        sink.open(CUSTOM_NAME, role=DATABASE_ROLE, media_type=CUSTOM_TYPE) as writer,
        Inlet() as inlet,
    ):

        def dump(stop: Cancellation) -> None:
            with job.access() as way:
                argv = [*job.argv(way.conninfo), "--format=custom"]
                consumer = _tee(writer, inlet, telling, stop)
                _run(argv, way, job, work, stop, consumer=consumer)
            inlet.end()

        def check(stop: Cancellation) -> None:
            _check_whole(job.programs, work.stall_timeout, stop, stream=inlet)

        together(cancel, {"pg_dump": dump, "pg_restore": check})


def dump_directory(job: DumpJob, sink: ArtifactSink, work: Work, cancel: Cancellation) -> None:
    """Dump with several connections into the scratch folder, then stream that as one tar.

    Raises:
        Unreachable: pg_dump failed, or its output is no whole archive.
        NoSpace: the scratch folder is full.
        Interrupted: ``cancel`` was requested.
    """
    with tempfile.TemporaryDirectory(prefix="dump-", dir=work.scratch) as scratch:
        folder = Path(scratch, "database")
        title = f"dumping the database with {job.jobs} jobs"
        with (
            step(work.emit, "dump", title, monotonic=work.clock.monotonic) as telling,
            job.access() as way,
        ):

            def progress() -> object:
                written = _size_of(folder)
                telling.progress(written)
                return written, job.pulse()

            argv = [*job.argv(way.conninfo), "--format=directory", f"--jobs={job.jobs}"]
            argv += ["--no-sync", f"--file={folder}"]
            _run(argv, way, job, work, cancel, progress=progress)
            _check_whole(job.programs, work.stall_timeout, cancel, folder=folder)
        with (
            step(work.emit, "store", "storing the dump", total=_size_of(folder)) as telling,
            sink.open(DIRECTORY_NAME, role=DATABASE_ROLE, media_type=DIRECTORY_TYPE) as writer,
        ):
            _write_tar(folder, writer, telling, cancel)


def _run(
    argv: list[str],
    way: Access,
    job: DumpJob,
    work: Work,
    cancel: Cancellation,
    *,
    consumer: Callable[[memoryview], object] | None = None,
    progress: Callable[[], object] | None = None,
) -> None:
    try:
        run(
            argv,
            env=way.env,
            pass_fds=way.pass_fds,
            stdout=consumer,
            stall_timeout=work.stall_timeout,
            cancel=cancel,
            progress=progress or job.pulse,
        )
    except ChildFailed as failed:
        raise dump_failed(failed, job.target) from None


def _tee(
    writer: ArtifactWriter, inlet: Inlet, telling: Step, cancel: Cancellation
) -> Callable[[memoryview], None]:
    def consume(piece: memoryview) -> None:
        inlet.write(piece, cancel)
        writer.write(piece)
        telling.advance(len(piece))

    return consume


def _check_whole(
    programs: Programs,
    stall_timeout: float,
    cancel: Cancellation,
    *,
    stream: Inlet | None = None,
    folder: Path | None = None,
) -> None:
    argv = [programs.path("pg_restore"), "--file=/dev/null"]
    argv += ["--format=custom"] if folder is None else ["--format=directory", str(folder)]
    try:
        run(argv, env=clean_env(), stdin=stream, stall_timeout=stall_timeout, cancel=cancel)
    except ChildFailed as failed:
        raise Unreachable(
            f"what {programs.path('pg_dump')} wrote is not a whole archive: "
            f"{cause(failed.stderr, failed.program) or failed.message}",
            hint="nothing was stored; if it happens again, use other client tools (programs = …)",
        ) from None


def _size_of(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir())
    except FileNotFoundError:
        return 0


class _TarStream:
    """What :mod:`tarfile` writes to: passes bytes on and tells how many."""

    def __init__(self, writer: ArtifactWriter, telling: Step, cancel: Cancellation) -> None:
        self._writer = writer
        self._telling = telling
        self._cancel = cancel

    def write(self, data: bytes) -> int:
        self._cancel.check()
        self._writer.write(data)
        self._telling.advance(len(data))
        return len(data)


def _write_tar(folder: Path, writer: ArtifactWriter, telling: Step, cancel: Cancellation) -> None:
    """Files in the order of their names, without owners and times: equal content, equal bytes."""
    stream = cast("IO[bytes]", _TarStream(writer, telling, cancel))
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, arcname=file.name, recursive=False, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    member.mtime = 0
    return member
