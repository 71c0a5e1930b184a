"""Archives of ``pg_dump``: read wholly by ``pg_restore``, which turns them into text.

Nothing is executed: the text of ``pg_restore --file=-`` is looked at and thrown away. To make it,
every byte of the data is read, unlike with ``--list``. What that notices depends on the
compression in the archive: see ``docs/PROOF.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from backup_lib.byte_source import ByteSource
from backup_lib.format.plain.detect import compression_of_name
from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.format.plain.sql_text import SqlText
from backup_lib.format.plain.tar_members import members
from backup_lib.stores.postgres import archive_head
from backup_lib.stores.postgres.archive_head import ArchiveHead
from backup_lib.stores.postgres.programs import TOOL_LACKS, client_tools
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad, UsageError
from restoreproof.process import ChildFailed, clean_env, run

TOC = "toc.dat"

_LARGE_OBJECT = "blob_"
"""Files of large objects; those of tables end with a mark and are never empty."""

_WRITTEN_BY = {(1, 16): 17, (1, 15): 16}
"""The first major version that knows an archive version."""

_OLDEST = 12
_NOT_THE_ARCHIVE = (
    *TOOL_LACKS,
    "not supported",
    "out-of-order restore request",
    "out of memory",
)


def check_custom(plain: PlainStream, work: Work) -> str:
    """A custom-format archive, perhaps compressed once more."""
    source = ByteSource(plain)
    head = archive_head.parse(source.peek(archive_head.HEAD_SIZE))
    if head.format != "custom":
        raise JudgedBad("it is a part of another archive", hint="name the folder or tar it is of")
    _read_wholly(("--format=custom",), head, work, source.rest())
    for _ in source.rest():
        pass  # what follows the archive may be damage of the compression around it
    around = f"; {plain.protection}" if plain.compression else ""
    return f"pg_restore reads it wholly; {head.protection}{around}"


def check_tar(path: Path, stored: Iterator[bytes], work: Work) -> str:
    """A tar-format archive."""
    head: ArchiveHead | None = None
    for member in members(ByteSource(stored)):
        if member.name == TOC:
            head = archive_head.parse(ByteSource(member.data).take(archive_head.HEAD_SIZE))
    if head is None:
        raise JudgedBad(f"it holds no {TOC}", hint="take another copy of the backup")
    _read_wholly(("--format=tar", str(path.absolute())), head, work)
    return f"pg_restore reads it wholly; {head.protection}"


def check_directory(folder: Path, read: Callable[[Path], Iterator[bytes]], work: Work) -> str:
    """A directory-format archive."""
    toc = folder / TOC
    if not toc.is_file():
        raise JudgedBad(f"{TOC} is missing in it", hint="copy the whole folder")
    head = archive_head.parse(ByteSource(read(toc)).peek(archive_head.HEAD_SIZE))
    for file in sorted(folder.iterdir()):
        if file != toc:
            _check_data_file(file, read)
    _read_wholly(("--format=directory", str(folder.absolute())), head, work)
    return f"pg_restore reads it wholly; {head.protection}"


def _check_data_file(file: Path, read: Callable[[Path], Iterator[bytes]]) -> None:
    """Read one file of a directory: pg_restore takes an empty one for an empty table."""
    plain = PlainStream(read(file))
    promised = compression_of_name(file)
    try:
        if promised and plain.compression != promised:
            raise JudgedBad(f"it is no {promised}", hint="take another copy of the folder")
        for _ in plain:
            pass
        if not plain.size and not (promised or file.name.startswith(_LARGE_OBJECT)):
            raise JudgedBad("it is empty", hint="take another copy of the folder")
    except JudgedBad as error:
        raise JudgedBad(f"{file.name}: {error.message}", hint=error.hint) from error


def _read_wholly(
    arguments: tuple[str, ...],
    head: ArchiveHead,
    work: Work,
    stdin: Iterator[bytes] | None = None,
) -> None:
    try:
        tools = client_tools(
            _WRITTEN_BY.get(head.version[:2], _OLDEST), encrypted=False, names=("pg_restore",)
        )
    except UsageError as error:
        raise Inconclusive(
            f"only pg_restore can read it, and there is none: {error.message}", hint=error.hint
        ) from error
    text = SqlText()
    try:
        run(
            [tools.path("pg_restore"), "--file=-", *arguments],
            env=clean_env(),
            stdin=stdin,
            stdout=text.feed,
            stall_timeout=work.stall_timeout,
            cancel=work.cancel,
        )
    except ChildFailed as error:
        if error.signal or any(phrase in error.stderr for phrase in _NOT_THE_ARCHIVE):
            raise Inconclusive(
                f"pg_restore {tools.version} cannot judge it: {error.message}",
                hint="use the pg_restore of a newer PostgreSQL, with all compressions",
            ) from error
        raise JudgedBad(error.message, hint="take another copy of the backup") from error
    if not text.finish():
        raise JudgedBad("its text does not begin as that of pg_dump", hint="take another copy")
