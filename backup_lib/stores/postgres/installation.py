"""What lies in a folder of PostgreSQL programs, found without starting a server."""

from __future__ import annotations

import mmap
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from backup_lib.model import ServerFacts
from backup_lib.stores.postgres import features
from restoreproof.errors import Inconclusive, RestoreproofError
from restoreproof.process import clean_env, output

_DICTIONARIES = Path("/var/cache/postgresql/dicts")  # Debian links to it from its share folder
_DEFAULT_VERSION = re.compile(r"^\s*default_version\s*=\s*'?([^'#\s]+)", re.MULTILINE)


def version(programs: Path) -> str:
    """The version of the server in that folder, such as ``18.6``.

    Raises:
        Inconclusive: it does not run here, or says something else.
    """
    return _version(programs, _stamp(programs))


def facts(programs: Path) -> ServerFacts:
    """What a server from that folder offers; keys as in :mod:`backup_lib.stores.postgres.features`.

    Raises:
        Inconclusive: its programs do not run here.
    """
    number = version(programs)
    offered = {features.locale_provider("libc"): features.YES}
    linked = _linked(programs / "postgres", b"libicui18n", b"libxml2", b"liblz4", b"libssl")
    if b"libicui18n" in linked:
        offered[features.locale_provider("icu")] = features.YES
    if b"libxml2" in linked:
        offered[features.XML] = features.YES
    if b"liblz4" in linked:
        offered[features.toast_compression("lz4")] = features.YES
    offered[features.TLS] = features.YES if b"libssl" in linked else features.NO
    if features.major(number) >= features.BUILTIN_PROVIDER_SINCE:
        offered[features.locale_provider("builtin")] = features.YES
    offered |= {features.locale(name): features.YES for name in _locales()}
    offered |= {
        features.extension(name): default for name, default in _extensions(_share(programs))
    }
    return ServerFacts(product="PostgreSQL", version=number, features=dict(sorted(offered.items())))


def trees(programs: Path) -> tuple[Path, ...]:
    """All the folders that programs of that folder read: libraries, extensions, time zones.

    A wheel keeps bundled libraries in ``PACKAGE.libs`` beside the package (auditwheel).
    """
    share = _share(programs)
    wanted = [
        programs,
        programs.parent / "lib",
        programs.parent / "share",
        share,
        _named(programs, "PKGLIBDIR"),
        _DICTIONARIES if share and share.is_relative_to("/usr/share") else None,
        *(parent.with_name(f"{parent.name}.libs") for parent in programs.parents[:-1]),
    ]
    found = sorted({path for path in wanted if path is not None and path.is_dir()})
    return tuple(path for path in found if not any(other in path.parents for other in found))


def _stamp(programs: Path) -> int:
    with suppress(OSError):
        return (programs / "postgres").stat().st_mtime_ns
    return 0


@lru_cache(maxsize=64)
def _version(programs: Path, _stamp: int) -> str:
    try:
        said = output([f"{programs}/postgres", "--version"], env=clean_env(), title="postgres")
    except RestoreproofError as error:
        raise Inconclusive(
            f"the server in {programs} does not run on this machine",
            hint=f"{error.message}; set programs.postgres of the sandbox to another folder",
        ) from error
    match = re.search(r"\(PostgreSQL\) (\d[\w.]*)", said)
    if match is None:
        raise Inconclusive(
            f"{programs}/postgres is not a PostgreSQL server",
            hint="set programs.postgres of the sandbox to the folder of one",
        )
    return match[1]


@lru_cache(maxsize=64)
def _pg_config(programs: Path) -> dict[str, str]:
    """What pg_config says, such as ``SHAREDIR``; not every build brings it along."""
    with suppress(RestoreproofError):
        said = output([f"{programs}/pg_config"], env=clean_env())
        return dict(line.split(" = ", 1) for line in said.splitlines() if " = " in line)
    return {}


def _named(programs: Path, what: str) -> Path | None:
    folder = Path(_pg_config(programs).get(what, ""))
    return folder if folder.is_absolute() else None


def _share(programs: Path) -> Path | None:
    """The folder of ``postgres.bki``, and below it of the extensions."""
    beside = programs.parent / "share"
    for folder in (_named(programs, "SHAREDIR"), beside, beside / "postgresql"):
        if folder is not None and (folder / "postgres.bki").is_file():
            return folder
    return None


def _linked(program: Path, *libraries: bytes) -> frozenset[bytes]:
    """Which libraries a program was linked with, by their names in it.

    Better than ``pg_config --configure``, which is empty for builds with Meson, and whose defaults
    change from version to version.
    """
    try:
        with program.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as image:
            return frozenset(name for name in libraries if image.find(name + b".so") >= 0)
    except (OSError, ValueError):
        return frozenset()


def _locales() -> tuple[str, ...]:
    """The libc locales of this machine."""
    with suppress(RestoreproofError):
        return tuple(output(["locale", "-a"], env=clean_env()).split())
    return ("C", "POSIX")


def _extensions(share: Path | None) -> list[tuple[str, str]]:
    """Name and default version of every extension that is installed."""
    found = []
    if share is not None:
        for control in (share / "extension").glob("*.control"):
            match = _DEFAULT_VERSION.search(control.read_text(encoding="utf-8", errors="replace"))
            found.append((control.stem, match[1] if match else ""))
    return found
