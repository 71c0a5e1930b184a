"""The integrity of plain files that some other tool made, and what they are."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias, cast

from backup_lib.format.plain import (
    aof,
    json_text,
    neo4j,
    opensearch,
    qdrant,
    rdb,
    sql_text,
)
from backup_lib.format.plain.detect import compression_of_name, kind_of
from backup_lib.format.plain.kinds import PlainKind
from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.format.plain.reading import Track, chunks
from backup_lib.kinds import STORES
from backup_lib.model import Rung, RungResult
from backup_lib.services import pg_archives
from backup_lib.stores.base import ForeignPlugin
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad, Unreachable
from restoreproof.events import step
from restoreproof.verdict import Verdict

__all__ = ["PlainKind", "check_integrity", "detect", "not_restorable", "restorer_of"]

Check: TypeAlias = Callable[[Path, Track, Work], str]


def detect(path: Path) -> PlainKind:
    """What a file or folder is, by its content first and by its name where that tells nothing.

    Raises:
        Unreachable: it is missing or cannot be read.
    """
    try:
        return kind_of(path)
    except OSError as error:
        raise Unreachable(
            f"{path} cannot be read: {(error.strerror or 'unknown reason').lower()}",
            hint="check that it is there, and its permissions",
        ) from error


def check_integrity(path: Path, kind: PlainKind | None, work: Work) -> RungResult:
    """Read every byte, and judge it by all that its format offers.

    Args:
        path: a file, or the folder of those kinds that are folders.
        kind: what it has to be; found out where it is None.
        work: progress is told in stored bytes.

    Returns:
        ``failed`` only on evidence; ``inconclusive`` where the format offers nothing to judge by,
        is not known, or the file cannot be read.

    Raises:
        Interrupted: ``work.cancel`` was requested.
    """
    begun = work.clock.monotonic()
    hint = ""
    try:
        reason = _checked(path, kind, work)
        verdict = Verdict.PASSED
    except JudgedBad as error:
        verdict, reason, hint = Verdict.FAILED, error.message, error.hint
    except (Inconclusive, Unreachable) as error:
        verdict, reason, hint = Verdict.INCONCLUSIVE, error.message, error.hint
    except OSError as error:
        verdict = Verdict.INCONCLUSIVE
        reason = f"it cannot be read: {(error.strerror or 'unknown reason').lower()}"
        hint = "check its permissions and the device that it is on"
    seconds = work.clock.monotonic() - begun
    return RungResult(Rung.INTEGRITY, verdict, f"{path.name}: {reason}", hint, seconds)


def restorer_of(kind: PlainKind) -> type[ForeignPlugin] | None:
    """The store plugin that rehearses restores of such files; None where there is none."""
    if kind.store not in STORES.names():
        return None
    plugin = STORES.load(kind.store)
    if kind not in plugin.capabilities.plain_kinds:
        return None
    return cast("type[ForeignPlugin]", plugin)


def not_restorable(path: Path, kind: PlainKind) -> RungResult | None:
    """The ``restore`` rung of a kind that this version cannot restore; None where it can."""
    if restorer_of(kind):
        return None
    what = f"restores of {kind.value} files" if kind.store else "a restore of such a file"
    return RungResult(
        Rung.RESTORE,
        Verdict.INCONCLUSIVE,
        f"{path.name}: {what} cannot be rehearsed by this version",
        "restore it by hand into a disposable server, and compare the content; to judge the file "
        "alone, ask for integrity only",
    )


def _checked(path: Path, kind: PlainKind | None, work: Work) -> str:
    size = _size(path)
    if kind is None:
        kind = detect(path)
    check = _CHECKS.get(kind)
    if check is None:
        raise Inconclusive(
            "what it is cannot be told, neither by its content nor by its name",
            hint="name its type, such as postgres-sql",
        )
    with step(work.emit, f"integrity:{path}", f"reading {path.name}", total=size) as running:
        running.outcome = check(path, Track(running, work.cancel), work)
        return running.outcome


def _size(path: Path) -> int:
    """Stored bytes. Special files are not opened: a pipe would never end."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise JudgedBad("it is missing", hint="was it made, and is the path right?") from None
    if stat.S_ISDIR(facts.st_mode):
        return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())
    if not stat.S_ISREG(facts.st_mode):
        raise Inconclusive("it is neither a file nor a folder", hint="name a file or folder")
    if not facts.st_size:
        raise JudgedBad("it is empty", hint="look what went wrong when it was made")
    return facts.st_size


def _plain(path: Path, track: Track) -> PlainStream:
    _demand_file(path)
    stream = PlainStream(chunks(path, track))
    promised = compression_of_name(path)
    if promised and stream.compression != promised:
        raise JudgedBad(
            f"its name promises {promised}, and its content is something else",
            hint="its first bytes are damaged, or it has a wrong name",
        )
    return stream


def _demand_file(path: Path) -> None:
    if path.is_dir():
        raise JudgedBad("it is a folder, and has to be a file", hint="name the right type")


def _demand_folder(path: Path) -> None:
    if not path.is_dir():
        raise JudgedBad("it is a file, and has to be a folder", hint="name the right type")


def _of_stream(judge: Callable[[PlainStream], str]) -> Check:
    return lambda path, track, _work: judge(_plain(path, track))


def _rdb(path: Path, track: Track, _work: Work) -> str:
    return rdb.check(_plain(path, track))


def _neo4j(path: Path, track: Track, _work: Work) -> str:
    return neo4j.check(iter(_plain(path, track)))


def _qdrant(path: Path, track: Track, _work: Work) -> str:
    _demand_file(path)
    return qdrant.check(path, chunks(path, track))


def _in_folder(judge: Callable[[Path, Callable[[Path], Iterator[bytes]]], str]) -> Check:
    def check(path: Path, track: Track, _work: Work) -> str:
        _demand_folder(path)
        return judge(path, lambda file: chunks(file, track))

    return check


def _compressed(plain: PlainStream) -> str:
    for _ in plain:
        pass
    if plain.checksummed:
        return f"{plain.protection}; what is in it is not known"
    raise Inconclusive(
        "what is in it is not known, and its compression carries no checksum",
        hint="name its type, such as postgres-sql",
    )


def _custom(path: Path, track: Track, work: Work) -> str:
    return pg_archives.check_custom(_plain(path, track), work)


def _tar(path: Path, track: Track, work: Work) -> str:
    _demand_file(path)
    return pg_archives.check_tar(path, chunks(path, track), work)


def _directory(path: Path, track: Track, work: Work) -> str:
    _demand_folder(path)
    return pg_archives.check_directory(path, lambda file: chunks(file, track), work)


_CHECKS: Mapping[PlainKind, Check] = {
    PlainKind.POSTGRES_SQL: _of_stream(sql_text.check),
    PlainKind.POSTGRES_CUSTOM: _custom,
    PlainKind.POSTGRES_TAR: _tar,
    PlainKind.POSTGRES_DIRECTORY: _directory,
    PlainKind.JSON: _of_stream(json_text.check),
    PlainKind.VALKEY_RDB: _rdb,
    PlainKind.VALKEY_AOF: _in_folder(aof.check),
    PlainKind.NEO4J_DUMP: _neo4j,
    PlainKind.QDRANT_SNAPSHOT: _qdrant,
    PlainKind.OPENSEARCH_REPOSITORY: _in_folder(opensearch.check),
    PlainKind.COMPRESSED: _of_stream(_compressed),
}
