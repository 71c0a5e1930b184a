"""The rung ``integrity``: every stored byte against size and digest of the signed manifest.

The digest is of the *stored* bytes and the manifest is signed, so equal bytes are the bytes that
were written; decompressing them as well would prove nothing more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from backup_lib.destinations.base import Destination, SetRef
from backup_lib.model import Artifact
from backup_lib.work import Work
from restoreproof.errors import JudgedBad, Unreachable

BLOCK = 1 << 20
BAD_ARTIFACT_HINT = "restore from another set, or from another copy of this one"


def check_artifact(
    destination: Destination,
    ref: SetRef,
    artifact: Artifact,
    work: Work,
    *,
    progress: Callable[[int], None] = lambda _done: None,
) -> None:
    """Read the whole artifact and compare size and digest.

    Args:
        destination: where the set is kept.
        ref: the set.
        artifact: what the signed manifest says of it.
        work: who may cancel.
        progress: told the bytes read so far.

    Raises:
        JudgedBad: the artifact is missing, or its bytes are not those that were stored.
        Unreachable: the destination broke off; says nothing about the artifact.
    """
    with open_stored(destination, ref, artifact) as stored:
        while stored.read(BLOCK):
            work.cancel.check()
            progress(stored.taken)
        stored.check()


@contextmanager
def open_stored(
    destination: Destination, ref: SetRef, artifact: Artifact
) -> Iterator[HashedReader]:
    """The stored bytes of an artifact, hashed as they are read.

    Raises:
        JudgedBad: the set is there and the artifact is not.
        Unreachable: the destination is away, or the whole set is gone.
    """
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(destination.open(ref, artifact.name))
        except FileNotFoundError:
            destination.manifest(ref)  # Unreachable where the whole set was pruned meanwhile
            raise JudgedBad(
                f"the artifact {artifact.name} is missing from set {ref.set_id}",
                hint=BAD_ARTIFACT_HINT,
            ) from None
        yield HashedReader(stream, artifact)


class HashedReader:
    """Reads stored bytes and knows, at their end, whether they are the artifact's."""

    def __init__(self, stream: BinaryIO, artifact: Artifact) -> None:
        self._stream = stream
        self._artifact = artifact
        self._digest = hashlib.sha256()
        self.taken = 0

    def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``; never more than one block beyond the artifact's end.

        Raises:
            JudgedBad: there are more bytes than the artifact has.
            Unreachable: the destination broke off.
        """
        try:
            block = self._stream.read(size)
        except OSError as error:
            raise Unreachable(
                f"reading {self._artifact.name} broke off: {error.strerror or error}",
                hint="this says nothing about the backup: look at the disk or network, try again",
            ) from error
        self._digest.update(block)
        self.taken += len(block)
        if self.taken > self._artifact.size:
            raise self.bad(f"has more than its {self._artifact.size} bytes")
        return block

    def check(self) -> None:
        """Read what is left and judge the whole.

        Raises:
            JudgedBad: size or digest is not the artifact's.
        """
        while self.read(BLOCK):
            pass
        if self.taken != self._artifact.size:
            raise self.bad(f"has {self.taken} bytes instead of {self._artifact.size}")
        if self._digest.hexdigest() != self._artifact.sha256:
            raise self.bad("does not have the bytes that were stored (SHA-256 differs)")

    def bad(self, what: str) -> JudgedBad:
        """The judgement that the artifact is bad."""
        return JudgedBad(f"the artifact {self._artifact.name} {what}", hint=BAD_ARTIFACT_HINT)
