"""Into a disposable server: an RDB file, or an append-only file, is loaded as a whole."""

from __future__ import annotations

from typing import BinaryIO

from backup_lib.model import StoreRecord, Target
from backup_lib.stores.base import ArtifactSource, Restored, RestoreOptions
from backup_lib.stores.valkey import users
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.aof.restoring import load_artifacts
from backup_lib.stores.valkey.loading import NotLoaded, loading
from backup_lib.stores.valkey.modules import missing_module, tell_reasons
from backup_lib.stores.valkey.roles import DATA_ROLE, LOG_INCREMENT_ROLE, USERS_ROLE
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad
from restoreproof.events import step

_CHUNK = 1 << 20


def into_sandbox(
    source: ArtifactSource, target: Target, options: RestoreOptions, work: Work
) -> Restored:
    """Load the data in a disposable server, and make the users."""
    if is_log(source.record):
        load_artifacts(source, target, work)
    else:
        artifact = next(a for a in source.record.artifacts if a.role == DATA_ROLE)
        with source.open(DATA_ROLE) as stream:
            load_stream(stream, target, work, total=artifact.plain_size)
    notes: tuple[str, ...] = ()
    if options.globals:
        notes = restore_users(source, target)
    return Restored(target, notes=notes)


def is_log(record: StoreRecord) -> bool:
    """Whether the set holds an append-only file."""
    return any(artifact.role == LOG_INCREMENT_ROLE for artifact in record.artifacts)


def restore_users(source: ArtifactSource, target: Target) -> tuple[str, ...]:
    """Make the users of the set that are missing; notes about what stayed as it was."""
    if not any(artifact.role == USERS_ROLE for artifact in source.record.artifacts):
        return ("the set holds no ACL users",)
    with source.open(USERS_ROLE) as stream:
        text = stream.read().decode("utf-8", "surrogateescape")
    with connect(target) as client:
        # not splitlines: the pattern of a key may hold what that takes for the end of a line
        kept = users.apply(client, tuple(text.removesuffix("\n").split("\n")))
    return tuple(f"the ACL user {name} was there and stays as it is" for name in kept)


def load_stream(
    stream: BinaryIO, target: Target, work: Work, *, first: bytes = b"", total: int | None = None
) -> None:
    """Load an RDB file into a disposable server.

    Args:
        stream: the plain bytes.
        target: a sandbox.
        work: the circumstances.
        first: what was read of the stream already.
        total: bytes in all, where that is known.

    Raises:
        JudgedBad: the server refuses it, or its bytes are not those of the manifest.
        Inconclusive: it holds data of a module that the server has not got.
    """
    with connect(target) as client:
        tell_reasons(client)
    try:
        with (
            step(work.emit, "restore", "loading the RDB file", total=total) as telling,
            loading(target, work) as feed,
        ):
            piece = first or stream.read(_CHUNK)
            while piece:
                feed(piece)
                telling.advance(len(piece))
                piece = stream.read(_CHUNK)
    except NotLoaded as refusal:
        while stream.read(_CHUNK):
            pass  # to the end: bytes that are not those of the manifest are the better reason
        module = missing_module(target)
        if module:
            raise Inconclusive(
                f"the RDB file holds data of the module {module}, which the disposable server has "
                "not got",
                hint="this says nothing about the backup: restore it by hand into a server with "
                "that module (runbook)",
            ) from None
        raise JudgedBad(
            f"the server does not load the RDB file: {refusal}",
            hint="use an older backup set, and find out what damaged this one",
        ) from None
