"""RDB files and append-only files that some other tool made: no fingerprint, only the files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import BinaryIO

from backup_lib.model import ServerFacts, StoreBackup, StoreRecord, Target
from backup_lib.stores.base import ForeignFile, Restored
from backup_lib.stores.valkey import needs
from backup_lib.stores.valkey.aof.plain import PlainLog
from backup_lib.stores.valkey.disposable import load_stream
from backup_lib.stores.valkey.rdb import HEAD_SIZE, MAGIC, MAGIC_SIZE, RdbFrame, is_foreign, writer
from backup_lib.stores.valkey.roles import LOG_FORMAT
from backup_lib.work import Work
from restoreproof.errors import Inconclusive

LOG_KIND = "valkey-aof"
"""Of plain files; the other kind is the RDB file."""


class ValkeyForeign:
    """``dump.rdb``, as a server or ``valkey-cli --rdb`` saves it, and ``appendonlydir``."""

    def describe(self, file: ForeignFile) -> StoreRecord:
        """See the interface.

        Raises:
            JudgedBad, Inconclusive: as for reading the file.
            Inconclusive: it is of a format that no Valkey loads.
        """
        if file.kind == LOG_KIND:
            return _describe_log(file)
        with file.open() as stream:
            head = stream.read(HEAD_SIZE)
        frame = RdbFrame()
        frame.add(head)
        _refuse_foreign(frame.magic)
        server = writer(head)
        written = frame.written or datetime.fromtimestamp(file.path.stat().st_mtime, UTC)
        # what is no RDB file at all needs nothing: the server is the one to refuse it
        known = MAGIC.fullmatch(frame.magic) is not None
        backup = StoreBackup(
            server=server,
            moment=written,
            fingerprint=None,
            needs=needs.of_file(frame.magic, server.version) if known else (),
        )
        return StoreRecord(file.path.name, "valkey", backup, ())

    def restore_file(self, file: ForeignFile, target: Target, work: Work) -> Restored:
        if file.kind == LOG_KIND:
            left_out = PlainLog(file.path).restore(target, work)
            notes = ("ACL users and settings are no part of an append-only file",)
            return Restored(target, notes=notes, left_out=left_out)
        with file.open() as stream:
            return restore_rdb(stream, target, work)


def _describe_log(file: ForeignFile) -> StoreRecord:
    """By its base: commands do not tell who wrote them."""
    log = PlainLog(file.path)
    head = log.head()
    found = MAGIC.match(head)
    server = writer(head) if found else ServerFacts("Valkey", "")
    if found:
        _refuse_foreign(found[0])
    backup = StoreBackup(
        server=server,
        moment=datetime.fromtimestamp(log.written, UTC),
        fingerprint=None,
        needs=needs.of_file(found[0], server.version) if found else (),
        details={"format": LOG_FORMAT},
    )
    return StoreRecord(file.path.name, "valkey", backup, ())


def restore_rdb(stream: BinaryIO, target: Target, work: Work) -> Restored:
    """Load an RDB file that some other tool made into a disposable server.

    Args:
        stream: the plain file, from its beginning.
        target: a sandbox.
        work: the circumstances.

    Raises:
        JudgedBad: the server refuses it.
        Inconclusive: it is of a format that no Valkey loads.
        Unreachable: the server is the trouble.
    """
    magic = stream.read(MAGIC_SIZE)
    _refuse_foreign(magic)
    load_stream(stream, target, work, first=magic)
    return Restored(target, notes=("ACL users and settings are no part of an RDB file",))


def _refuse_foreign(magic: bytes) -> None:
    if is_foreign(magic):
        raise Inconclusive(
            f"the file is of the format {magic.decode('ascii')}, which Redis 7.4 and newer "
            "write and Valkey does not load",
            hint="restore it with a server of the kind that wrote it",
        )
