"""Restoring one archive with several connections, straight from where it is stored.

``pg_restore --jobs`` wants a file to seek in, so that the whole dump had to be unpacked first: as
much room again, and most of the disk's time. Here each job reads the stored artifact for itself,
unpacking on the way, and takes the rows of a neighbouring share of the tables:

1. what stands before the data (tables, types, functions), from the archive's head;
2. the data, several ``pg_restore`` at once, each with its share of the list;
3. indexes, constraints, triggers and grants with ``--jobs``, from the head again.

The head is the archive up to and with its table of contents: all that definitions need. Grants
come last, as in a plain run: before them nothing is forbidden to the owner of a table.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from backup_lib.stores.postgres import archive
from backup_lib.stores.postgres.programs import Programs
from backup_lib.stores.postgres.restore import (
    OpenArchive,
    RestoreJob,
    only,
    pg_restore,
    table_of_contents,
)
from backup_lib.work import Work
from restoreproof.errors import JudgedBad
from restoreproof.events import Step, step
from restoreproof.process import Cancellation
from restoreproof.together import together

_MOST_STREAMS = 4
"""Each unpacks the whole artifact; more of them would do little else."""

_SMALL = 64 << 10
"""Bytes that a table counts for whose size is not known, since it is not one of the large."""

_FIRST_HEAD = 1 << 20
_BLOCK = 1 << 20
_GRANTS = ("ACL", "DEFAULT ACL")


def restore_streams(
    job: RestoreJob,
    open_archive: OpenArchive,
    work: Work,
    *,
    sizes: Mapping[int, int],
    total: int,
    take: Callable[[Sequence[archive.Entry]], list[archive.Entry]] = list,
) -> tuple[str, ...]:
    """Restore a custom-format archive with ``job.jobs`` connections.

    Args:
        job: how; the database is empty.
        open_archive: opens the archive anew, from its front.
        work: of the run.
        sizes: bytes by OID of a table at the source; tables left out count as small.
        total: bytes of the archive.
        take: what to restore of the entries that it is given; all of them if nothing is said.

    Returns:
        tolerated errors.

    Raises:
        JudgedBad, Unreachable, Inconclusive, NoSpace: see :func:`.judgement.judge_archive`.
    """
    with (
        step(work.emit, "restore", "restoring the database", total=total) as telling,
        _head(job.programs, open_archive, work) as (head, listing),
    ):
        before, data, after = map(take, _phases(job.programs, head, listing, work))
        parts = shares(data, sizes, min(job.jobs, _MOST_STREAMS))
        progress = _Progress(telling, len(parts))
        tolerated = [*_definitions(replace(job, jobs=1), head, before, work)]

        def rows(
            number: int, entries: Sequence[archive.Entry], stop: Cancellation
        ) -> tuple[str, ...]:
            with open_archive() as stream, only(entries, work) as option:
                found = pg_restore(
                    replace(job, jobs=1),
                    ["--format=custom", option],
                    replace(work, cancel=stop),
                    stdin=_pieces(stream, partial(progress.tell, number)),
                )
                if number == len(parts) - 1:
                    # the last share ends where the archive does, and there its digest is checked;
                    # what follows the others' is not for them to read
                    while stream.read(_BLOCK):
                        stop.check()
                return found

        readers = {
            f"pg_restore {number}": partial(rows, number, entries)
            for number, entries in enumerate(parts)
        }
        if readers:
            for found in together(work.cancel, readers).values():
                tolerated += found
        return (*tolerated, *_definitions(job, head, after, work))


def shares(
    entries: Sequence[archive.Entry], sizes: Mapping[int, int], count: int
) -> list[list[archive.Entry]]:
    """Cut a list into at most ``count`` neighbouring parts of about the same size.

    Neighbouring, since a job reads past all that stands before its own.
    """
    known = [sizes.get(entry.oid, _SMALL) for entry in entries]
    total = sum(known) or 1
    found: list[list[archive.Entry]] = [[] for _ in range(count)]
    before = 0
    for entry, size in zip(entries, known, strict=True):
        found[min(count - 1, (2 * before + size) * count // (2 * total))].append(entry)
        before += size
    return [part for part in found if part]


def _definitions(
    job: RestoreJob, head: Path, entries: Sequence[archive.Entry], work: Work
) -> tuple[str, ...]:
    if not entries:
        return ()
    with only(entries, work) as option:
        return pg_restore(job, [option, str(head)], work)


def _phases(
    programs: Programs, head: Path, listing: str, work: Work
) -> tuple[list[archive.Entry], list[archive.Entry], list[archive.Entry]]:
    """Before the data, the data, and everything else."""

    def section(name: str) -> list[archive.Entry]:
        found = archive.contents(table_of_contents(programs, head, work, f"--section={name}"))
        return [entry for entry in found if not entry.is_a(_GRANTS)]

    before, data = section("pre-data"), section("data")
    taken = {entry.dump_id for entry in (*before, *data)}
    return before, data, [e for e in archive.contents(listing) if e.dump_id not in taken]


@contextmanager
def _head(programs: Programs, open_archive: OpenArchive, work: Work) -> Iterator[tuple[Path, str]]:
    """The front of an archive, long enough for its table of contents, and that as a list.

    Where that ends is not said anywhere: pg_restore tells whether it was whole.
    """
    with TemporaryDirectory(prefix="restore-", dir=work.scratch) as scratch:
        path = Path(scratch, "head")
        with open_archive() as stream, path.open("wb") as file:
            size = _FIRST_HEAD
            while True:
                whole = _copy(stream, file, size - file.tell())
                file.flush()
                try:
                    listing = table_of_contents(programs, path, work)
                except JudgedBad:
                    if not whole:
                        raise
                    size *= 4
                else:
                    break
        yield path, listing


def _copy(stream: BinaryIO, file: BinaryIO, size: int) -> bool:
    """Append ``size`` bytes; whether there were as many."""
    while size and (piece := stream.read(min(size, _BLOCK))):
        file.write(piece)
        size -= len(piece)
    return size == 0


def _pieces(stream: BinaryIO, tell: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    while piece := stream.read(_BLOCK):
        yield piece
        done += len(piece)
        tell(done)


class _Progress:
    """Bytes of the archive that the streams have behind them, on average."""

    def __init__(self, telling: Step, streams: int) -> None:
        self._telling = telling
        self._lock = threading.Lock()
        self._done = [0] * streams

    def tell(self, stream: int, done: int) -> None:
        """A stream has read so many bytes."""
        with self._lock:
            self._done[stream] = done
            self._telling.progress(sum(self._done) // len(self._done))
