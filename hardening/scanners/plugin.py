"""What scanners have in common: their construction, and the run over named files with a control."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, Generic, Self, TypeVar, cast

from pydantic import BaseModel

from hardening.model import Scan
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.files import LARGEST, There, there_is
from hardening.scanners.programs import Versions
from hardening.scanners.running import Plan, Reading, scan_by_plan
from restoreproof.config.model import Settings

S = TypeVar("S", bound=Settings)
P = TypeVar("P", bound="PathSettings")


class PathSettings(Settings):
    """``[scanner.NAME]`` of a kind that is told where to look."""

    paths: tuple[str, ...] = (".",)
    """Files and folders, relative to the root."""


class Plugin(Generic[S]):
    """A scanner that is made of its settings.

    Attributes:
        tool: its kind.
        model: of its settings.
    """

    tool: ClassVar[str]
    model: ClassVar[type[Settings]]

    def __init__(self, settings: S, circumstances: Circumstances) -> None:
        self._settings = settings
        self._circumstances = circumstances

    @classmethod
    def settings(cls) -> type[BaseModel]:
        return cls.model

    @classmethod
    def from_settings(cls, settings: BaseModel, circumstances: Circumstances) -> Self:
        assert isinstance(settings, cls.model)
        return cls(cast("S", settings), circumstances)


class FileScanner(Plugin[P], ABC):
    """A scanner that is named its files, and the control as the last of them.

    Attributes:
        supported: versions whose report is known.
        control: name and content of the planted file.
        configuration: name and content of what stands in for a configuration that lies about.
        report: name of the file that it writes its report to; standard output where None.
        version_args: what makes it state its version.
        largest: bytes of a file; a larger one is not given to it.
        endings: exit codes that go with a report; any other one says that it failed.
    """

    supported: ClassVar[Versions]
    control: ClassVar[tuple[str, str]]
    configuration: ClassVar[tuple[str, str] | None] = None
    report: ClassVar[str | None] = None
    version_args: ClassVar[tuple[str, ...]] = ("--version",)
    largest: ClassVar[int] = LARGEST
    endings: ClassVar[frozenset[int]] = frozenset({0, 1})

    @abstractmethod
    def accepts(self, path: PurePosixPath, root: Path) -> bool:
        """Whether a file in a folder is one of its own; the path is relative to the root."""

    @abstractmethod
    def arguments(self, scratch: Path) -> Sequence[str]:
        """Those before the files; the configuration lies in ``scratch``, the report will."""

    @abstractmethod
    def reading(self, raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
        """What its report over those files says.

        Raises:
            Unreadable: it is none.
        """

    def there(self, root: Path) -> There:
        """What there is to look at below ``root``."""
        named = self._settings.paths
        return there_is(
            root,
            lambda path: str(path) in named or self.accepts(path, root),
            named,
            demanded="paths" in self._settings.model_fields_set,
            most=self.largest,
        )

    def expected(self, root: Path) -> tuple[str, ...]:
        return self.there(root).names

    def scan(self, request: Request) -> Scan:
        there = self.there(request.root)
        return scan_by_plan(self.plan(request, there), request, self._circumstances)

    def plan(self, request: Request, there: There) -> Plan:
        """How the tool is run over what there is."""
        name, content = self.control
        control = request.scratch / name
        control.parent.mkdir(parents=True, exist_ok=True)
        control.write_text(content)
        if self.configuration is not None:
            name, content = self.configuration
            (request.scratch / name).write_text(content)
        return Plan(
            tool=self.tool,
            program=self.tool,
            supported=self.supported,
            args=self.arguments(request.scratch),
            expected=there.files,
            files=there.files,
            gaps=there.gaps,
            read=lambda raw: self.reading(raw, request.root, there.files),
            report=request.scratch / self.report if self.report else None,
            control=str(control),
            version_args=self.version_args,
            endings=self.endings,
        )
