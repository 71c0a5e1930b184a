"""The part of the configuration that is about hardening: ``[hardening]`` and ``[scanner.NAME]``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from hardening.kinds import SCANNERS
from hardening.model import Severity
from hardening.policy.model import LEAST_REASON, Ignore, Offline
from hardening.scanners.base import DEFAULT_LIMIT, Circumstances, Scanner
from hardening.scanners.programs import find_program
from restoreproof.config import Document, read
from restoreproof.config.model import ConfigPath, Duration, Settings
from restoreproof.config.plugins import Configured, read_plugins
from restoreproof.errors import UsageError
from restoreproof.kinds import did_you_mean

if TYPE_CHECKING:
    from restoreproof.config.schema import SchemaBuilder

_VARIANTS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "trivy": {f"trivy-{mode}": {"mode": mode} for mode in ("config", "secret", "fs")},
}
_WHERE_INSTALLED = frozenset({"actionlint"})
"""Kinds that no wheel has: without a configuration they are left out where they are missing."""

Level = Literal["critical", "high", "medium", "low", "info"]
_Text = Annotated[str, Field(min_length=1)]


class IgnoreSettings(Settings):
    """``[[hardening.ignore]]``: one thing that is let pass until a day."""

    id: _Text
    """A rule or a vulnerability, by any of its names."""
    path: _Text = "**"
    """Where, as in ``.gitignore``: ``*`` within a folder, ``**`` across folders."""
    subject: _Text = "*"
    """Which package or service: ``django``, ``django@1.2``, ``web``."""
    reason: Annotated[str, Field(min_length=LEAST_REASON)]
    """Why it is no danger here, or cannot be mended yet."""
    owner: _Text
    """Who answers for it."""
    expires: date
    """The last day on which it holds, such as ``2027-01-31``."""


class HardeningSettings(Settings):
    """``[hardening]``: what blocks, and what is let pass."""

    root: ConfigPath | None = None
    """The folder that is scanned; the one of the configuration by default."""
    block: Annotated[tuple[Level, ...], Field(min_length=1)] = ("critical", "high")
    """Severities that block. An unknown one always does."""
    grace: Duration = timedelta(0)
    """How long a vulnerability without a fix is let pass, from the day it became known."""
    longest_ignore: Duration = timedelta(days=90)
    """How far ahead an ignore may expire."""
    max_data_age: Duration = timedelta(days=2)
    """How old vulnerability data may be."""
    offline: Literal["auto", "block", "report"] = "auto"
    """What becomes of vulnerability sources that cannot be reached: ``block``, or ``report`` them
    first and judge the rest; ``auto`` blocks where CI is set."""
    baseline: ConfigPath | None = None
    """File of what was there when the policy was adopted: only what is new blocks."""
    vex: tuple[ConfigPath, ...] = ()
    """VEX documents: OpenVEX, or CycloneDX with an analysis."""
    ignore: tuple[IgnoreSettings, ...] = ()
    """What is let pass, each with a reason, an owner and a day."""
    severity: Mapping[str, Level] = Field(default_factory=dict)
    """Severities of what no tool knows one for: ``"PYSEC-2024-1" = "medium"``."""
    at_once: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many scanners run at the same time; as many as there are processors by default."""


class ScannerSettings(Settings):
    """What every ``[scanner.NAME]`` may say, whatever its kind."""

    program: ConfigPath | None = None
    """The executable; looked for beside Python and on PATH by default."""
    limit: Duration = timedelta(seconds=DEFAULT_LIMIT)
    """How long it may take."""
    may_be_empty: bool = False
    """Whether there may be nothing for it to look at; otherwise that is not judged."""
    block: tuple[Level, ...] = ()
    """Severities of this tool that block as well, beyond those of ``[hardening]``."""


@dataclass(frozen=True, slots=True)
class HardeningConfig:
    """The checked configuration. Nothing is run or read yet.

    Attributes:
        path: the file; None where there is none, and everything is by default.
        root: the folder that is scanned.
        settings: ``[hardening]``.
        scanners: by name, in the order of the file; empty: all kinds that find something.
    """

    path: Path | None
    root: Path
    settings: HardeningSettings = field(default_factory=HardeningSettings)
    scanners: Mapping[str, Configured[ScannerSettings]] = field(default_factory=dict)

    @property
    def ignores(self) -> tuple[Ignore, ...]:
        """What is let pass."""
        return tuple(
            Ignore(one.id, one.reason, one.owner, one.expires, path=one.path, subject=one.subject)
            for one in self.settings.ignore
        )

    @property
    def offline(self) -> Offline:
        """What becomes of sources that cannot be reached."""
        if self.settings.offline != "auto":
            return Offline(self.settings.offline)
        in_ci = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
        return Offline.BLOCK if in_ci else Offline.REPORT

    @property
    def looked_up(self) -> dict[str, Severity]:
        """Severities that the policy gives."""
        return {name: Severity(level) for name, level in self.settings.severity.items()}

    @property
    def stricter(self) -> dict[str, frozenset[Severity]]:
        """Severities that block as well, by tool."""
        found: dict[str, frozenset[Severity]] = {}
        for one in self.scanners.values():
            levels = frozenset(Severity(level) for level in one.common.block)
            found[one.kind] = found.get(one.kind, frozenset()) | levels
        return found

    def chosen(self, only: tuple[str, ...] = ()) -> dict[str, Scanner]:
        """Scanners by name: those of the file, else one of each kind that finds something.

        Args:
            only: names or kinds; all of them where empty.

        Raises:
            UsageError: a name that there is not.
        """
        configured = self.scanners or _by_default()
        kinds = {one.kind for one in configured.values()}
        for name in only:
            if name not in configured and name not in kinds:
                known = sorted({*configured, *kinds})
                raise UsageError(
                    f'there is no scanner "{name}" in the configuration',
                    hint=did_you_mean(name, known) or f"known: {', '.join(known)}",
                )
        made = {
            name: _scanner(name, one)
            for name, one in configured.items()
            if not only or name in only or one.kind in only
        }
        return {
            name: one
            for name, one in made.items()
            if not self._may_be_empty(name) or one.expected(self.root)
        }

    def _may_be_empty(self, name: str) -> bool:
        return not self.scanners or self.scanners[name].common.may_be_empty


def _by_default() -> dict[str, Configured[ScannerSettings]]:
    """One scanner of each kind, and of each way of using it that needs no further words."""
    configured = {}
    for kind in SCANNERS.names():
        if kind in _WHERE_INSTALLED and find_program(kind) is None:
            continue
        for name, written in _VARIANTS.get(kind, {kind: {}}).items():
            settings = SCANNERS.load(kind).settings().model_validate(written)
            configured[name] = Configured(kind, settings, ScannerSettings(), written)
    return configured


def _scanner(name: str, one: Configured[ScannerSettings]) -> Scanner:
    common = one.common
    circumstances = Circumstances(name, common.program, common.limit.total_seconds())
    return SCANNERS.load(one.kind).from_settings(one.settings, circumstances)


def load(explicit: str | os.PathLike[str] | None = None) -> HardeningConfig:
    """Find, read and check the configuration.

    Raises:
        ConfigError: all problems at once, each with file, key and line.
    """
    document = read(explicit)
    config = from_document(document)
    document.finish()
    assert config is not None
    return config


def from_document(document: Document) -> HardeningConfig | None:
    """Check the tables that are about hardening; problems are noted in the document.

    Returns:
        the configuration, or None where something was noted.
    """
    settings = document.check(HardeningSettings, document.data.get("hardening", {}), ("hardening",))
    scanners = read_plugins(document, "scanner", SCANNERS, ScannerSettings)
    if settings is None or len(scanners) < len(document.table("scanner")):
        return None
    return HardeningConfig(document.path, settings.root or document.base, settings, scanners)


def describe(builder: SchemaBuilder) -> None:
    """Add the schemas of the tables that are about hardening."""
    builder.table("hardening", HardeningSettings)
    builder.plugins("scanner", SCANNERS, ScannerSettings)
