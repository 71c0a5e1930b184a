"""The interface of scanners, and what every one of them owes.

A scanner runs a tool that others wrote and says what its *report* says. It must:

- find the program (beside our own Python, then on PATH) or say that it is missing, and record its
  version; a version outside the supported range is not judged, since its report may mean something
  else;
- know beforehand what there is to look at, and return everything that the report does not account
  for as :class:`~hardening.model.NotScanned`, with the cause;
- never take an exit code for an answer. An exit code may make a result worse, never better: a
  clean report of a child that ended as with findings is a contradiction, and judges nothing;
- plant a *control* where the report does not say what was read: a file with a known weakness that
  is scanned along. A report that does not have it says nothing about the other files either;
- respect the time limit, and say how to raise it; what was reported until then is not used;
- read the report with a limit on its size, and validate it. Empty, cut off or of another shape is
  "not scanned", never "clean";
- state how old its vulnerability data is, where it uses any;
- leave out secrets: what a tool found is named, never quoted.

:meth:`Scanner.scan` raises nothing but :class:`~restoreproof.errors.Interrupted`: whatever goes
wrong is in the :class:`~hardening.model.Scan`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hardening.model import Scan
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.events import Listener, silent
from restoreproof.process.cancellation import Cancellation

if TYPE_CHECKING:
    from pydantic import BaseModel

DEFAULT_LIMIT = 300.0
"""Seconds that one scanner may take."""


@dataclass(frozen=True, slots=True)
class Request:
    """The circumstances of a scan.

    Attributes:
        root: absolute; what is scanned lies below it, and paths are told relative to it.
        scratch: a private, empty folder; the caller removes it.
        offline: ask no service on the network.
        max_data_age: vulnerability data older than this is fetched anew where that is possible.
        emit: who is told.
        cancel: the request to stop.
        clock: for moments.
    """

    root: Path
    scratch: Path
    offline: bool = False
    max_data_age: timedelta = timedelta(days=2)
    emit: Listener = silent
    cancel: Cancellation = field(default_factory=Cancellation)
    clock: Clock = SYSTEM_CLOCK


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What every scanner can be told, whatever its kind.

    Attributes:
        program: the executable; looked for where None.
        limit: seconds it may take.
        name: of its table in the configuration; the kind where there is none.
    """

    name: str
    program: Path | None = None
    limit: float = DEFAULT_LIMIT


class Scanner(Protocol):
    """A configured scanner."""

    @property
    def tool(self) -> str:
        """The kind, as findings name it."""
        ...

    def expected(self, root: Path) -> tuple[str, ...]:
        """What there is to look at below ``root``; empty where there is nothing of its kind."""
        ...

    def scan(self, request: Request) -> Scan:
        """Look at all of it.

        Raises:
            Interrupted: it was asked to stop.
        """
        ...


class ScannerPlugin(Protocol):
    """What the kinds table loads."""

    @classmethod
    def settings(cls) -> type[BaseModel]:
        """The model of ``[scanner.NAME]``, without what all kinds have."""
        ...

    @classmethod
    def from_settings(cls, settings: BaseModel, circumstances: Circumstances) -> Scanner:
        """A scanner with those settings."""
        ...
