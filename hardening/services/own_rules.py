"""The rules of our own as a scanner: over files, and over an image, containers, Compose files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from hardening.model import Cause, NotScanned, Scan
from hardening.recognise import is_compose, is_dockerfile
from hardening.rules import CopyOwnership, Options, scan_files
from hardening.rules.rule import TOOL
from hardening.scanners.base import Request
from hardening.scanners.files import there_is
from hardening.scanners.plugin import Plugin
from restoreproof.config.model import Settings
from restoreproof.errors import Interrupted, RestoreproofError
from restoreproof.version import version


class OwnRulesSettings(Settings):
    """``[scanner.NAME]`` with ``kind = "restoreproof"``."""

    copy_ownership: Literal["stated", "root", "any"] = "stated"
    """Who shall own what COPY brings: as ``--chown`` says, root, or not judged."""
    denied_tools: tuple[str, ...] | None = None
    """Packages and programs that have no business in an image; a list of ours by default."""
    base_users: Mapping[str, str] = Field(default_factory=dict)
    """The user that a base image runs as, by pattern; one that is not named counts as root."""
    build_args: Mapping[str, str] = Field(default_factory=dict)
    """Values given to the build."""
    environment: Mapping[str, str] = Field(default_factory=dict)
    """Variables for Compose files, beside those of ``.env``: no secrets, this file is kept."""
    contexts: Mapping[str, str] = Field(default_factory=dict)
    """The build context of a Dockerfile, both relative to the root."""


class OwnRules(Plugin[OwnRulesSettings]):
    """The scanner of files."""

    tool = TOOL
    model = OwnRulesSettings

    def expected(self, root: Path) -> tuple[str, ...]:
        return there_is(root, lambda path: _is_ours(root / path)).names

    def scan(self, request: Request) -> Scan:
        options = options_of(self._settings)
        return _told(lambda: scan_files(request.root, options), self._circumstances.name)


class OneScan:
    """A scan of something that is no folder: an image, containers, Compose files together."""

    tool = TOOL

    def __init__(self, name: str, call: Callable[[], Scan]) -> None:
        self._name = name
        self._call = call

    def expected(self, _root: Path) -> tuple[str, ...]:
        return (self._name,)

    def scan(self, _request: Request) -> Scan:
        return _told(self._call, self._name)


def options_of(settings: OwnRulesSettings) -> Options:
    """The settings as the rules want them."""
    options = Options(
        copy_ownership=CopyOwnership(settings.copy_ownership),
        base_users=settings.base_users,
        build_args=settings.build_args,
        environment=settings.environment,
        contexts=settings.contexts,
    )
    if settings.denied_tools is None:
        return options
    return replace(options, denied_tools=frozenset(settings.denied_tools))


def _is_ours(path: Path) -> bool:
    return is_dockerfile(path) or is_compose(path)


def _told(call: Callable[[], Scan], name: str) -> Scan:
    """The scan with its name; what cannot be asked was not looked at."""
    try:
        scan = call()
    except Interrupted:
        raise
    except RestoreproofError as error:
        gap = NotScanned(name, error.message, error.hint, Cause.MISSING)
        return Scan(TOOL, version(), not_scanned=(gap,), facts={"scanner": name})
    return replace(scan, version=scan.version or version(), facts={**scan.facts, "scanner": name})
