"""The interface of a destination: where backup sets are kept.

Required semantics, which the contract suite checks on every kind:

- A set exists from the moment its manifest exists; before that no reader sees it.
- ``publish`` is durable: when it returns, a power cut loses nothing of the set.
- A failed or aborted run leaves nothing behind and never touches another set.
- Artifacts are written once; nothing is ever overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Protocol

if TYPE_CHECKING:
    from pydantic import BaseModel

MANIFEST_NAME = "manifest.dsse.json"
"""Name of the object whose existence makes a set; see ``docs/FORMAT.md``."""

SET_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
"""The ids that runs give. A sweep takes what bears another name for somebody else's."""


@dataclass(frozen=True, slots=True, order=True)
class SetRef:
    """A published set: ``set_id`` sorts by start time, but order is judged by the manifest."""

    set_name: str
    set_id: str


class SetWriter(Protocol):
    """An unpublished set; dropped unless published."""

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A new object; durable when the block ends without an error, removed otherwise.

        Raises:
            NoSpace: the destination is full.
            Unreachable: it broke off.
        """
        ...

    def publish(self, manifest: bytes) -> None:
        """Write the manifest, last: from here on the set exists."""
        ...


class Destination(Protocol):
    """Where backup sets are kept."""

    kind: ClassVar[str]

    def probe(self) -> str:
        """Whether it can be written to, for ``doctor``: one phrase, such as ``81 GiB free``.

        Raises:
            Unreachable: it is away or not writable.
            NoSpace: it is full.
        """
        ...

    def write_set(self, ref: SetRef) -> AbstractContextManager[SetWriter]:
        """Begin a set. Left without ``publish``, everything written is removed."""
        ...

    def sets(self, set_name: str | None = None) -> Iterator[SetRef]:
        """All published sets, in no particular order."""
        ...

    def manifest(self, ref: SetRef) -> bytes:
        """The manifest's bytes (a signed envelope).

        Raises:
            Unreachable: the destination is away, or there is no such set.
        """
        ...

    def open(self, ref: SetRef, name: str) -> AbstractContextManager[BinaryIO]:
        """The stored bytes of one object, as a stream.

        Raises:
            FileNotFoundError: there is no such object in the set.
            Unreachable: the destination is away.
        """
        ...

    def size(self, ref: SetRef, name: str) -> int:
        """Stored bytes of one object, without reading it. Raises FileNotFoundError."""
        ...

    def delete(self, ref: SetRef) -> None:
        """Remove a set: at once or the manifest first, so that a half-removed set is no set."""
        ...

    def sweep(self) -> tuple[str, ...]:
        """Remove what interrupted runs left behind.

        Never touched are a run that is alive, and what anybody else keeps in the same place.

        Returns:
            the names of what was removed.
        """
        ...


class DestinationPlugin(Protocol):
    """What the kinds table points at. All members are class-level; nothing is imported early."""

    kind: ClassVar[str]

    @classmethod
    def settings(cls) -> type[BaseModel]:
        """The model of ``[destination.NAME]``, without ``kind``."""
        ...

    @classmethod
    def from_settings(cls, name: str, settings: BaseModel, base: Path) -> Destination:
        """A destination with those settings; ``base`` is the configuration file's folder."""
        ...
