"""Programs of others: where they are, and in which version."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from restoreproof.errors import RestoreproofError
from restoreproof.process import clean_env, output

_NUMBER = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+)")
_PATIENCE = 60.0

NETWORK = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)
"""What a child needs of our environment to reach a service from behind a proxy."""


@dataclass(frozen=True, slots=True)
class Versions:
    """A range of versions: from ``least`` up to, without, ``below``."""

    least: tuple[int, ...]
    below: tuple[int, ...]

    def __contains__(self, version: str) -> bool:
        numbers = tuple(int(part) for part in version.split("."))
        return self.least <= numbers < self.below

    def __str__(self) -> str:
        return f">={_dotted(self.least)},<{_dotted(self.below)}"


def find_program(name: str) -> Path | None:
    """The program beside our own Python, else on PATH; None where there is none."""
    beside = Path(sys.executable).parent / name
    if beside.is_file() and os.access(beside, os.X_OK):
        return beside
    found = shutil.which(name)
    return Path(found) if found else None


def version_of(program: Path, *args: str) -> str:
    """The version that a program states, such as ``1.9.4``; empty where it states none.

    A program that has not changed since is not asked again.
    """
    try:
        stat = program.stat()
    except OSError:
        return ""
    return _stated(str(program), args, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _stated(program: str, args: tuple[str, ...], _changed: int, _size: int) -> str:
    try:
        said = output([program, *args], env=clean_env(), timeout=_PATIENCE)
    except RestoreproofError:
        return ""
    found = _NUMBER.search(said[:10_000])
    return found[1] if found else ""


def network_env() -> dict[str, str]:
    """The variables of :data:`NETWORK` that are set."""
    return {name: os.environ[name] for name in NETWORK if os.environ.get(name)}


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)
