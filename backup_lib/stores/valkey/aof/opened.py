"""The append-only file of a source: found, opened, and held as it was at one moment.

The server replaces its parts when it rewrites them. What is open stays readable all the same, so
neither its settings have to be changed meanwhile nor anything put back: the manifest is looked at
again, and where it is another one, all begins anew.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import valkey

from backup_lib.model import Target
from backup_lib.stores.valkey.address import connect, endpoint_of, place_of
from backup_lib.stores.valkey.aof.manifest import BASE, FOLDER_NAME, Part, manifest_of, parts_of
from restoreproof.errors import ConfigError, Inconclusive, JudgedBad, Refused, Unreachable

CHUNK = 1 << 18
_ATTEMPTS = 3


class LogMoved(Exception):
    """The server rewrote its append-only file, or does not let two moments be told apart."""


@dataclass(frozen=True, slots=True)
class OpenPart:
    """A part of the append-only file, open for reading; ``size`` is what the kernel says now."""

    part: Part
    descriptor: int

    @property
    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``, or up to what is there.

        Raises:
            Unreachable: it cannot be read, or there are fewer.
        """
        at = start
        while end is None or at < end:
            try:
                piece = os.pread(
                    self.descriptor, CHUNK if end is None else min(CHUNK, end - at), at
                )
            except OSError as error:
                raise _unreadable(self.part.name, error) from error
            if not piece and end is None:
                return
            if not piece:
                raise Unreachable(
                    f"{self.part.name} became shorter while it was read",
                    hint="does something else than the server write to its folder?",
                )
            at += len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class OpenLog:
    """All parts of one manifest.

    Attributes:
        folder: where they are.
        manifest: its bytes.
        base: None where there is none.
        increments: in order; the last one is being written to.
    """

    folder: Path
    manifest: bytes
    base: OpenPart | None
    increments: tuple[OpenPart, ...]

    @property
    def newest(self) -> OpenPart:
        """The part that the server appends to."""
        return self.increments[-1]

    def check(self) -> None:
        """Look whether the server still goes by the same parts.

        Raises:
            LogMoved: it does not.
        """
        if _manifest(self.folder) != self.manifest:
            raise LogMoved("it was rewritten meanwhile")


def folder_of(target: Target, configured: Path | None) -> Path:
    """The folder that holds the manifest.

    Args:
        target: the source.
        configured: as the settings have it: that folder, or the one above.

    Raises:
        ConfigError: it is not given, and cannot be found.
        Refused: the server has no append-only file.
        Unreachable: the server is away.
    """
    with connect(target) as client:
        said: dict[str, Any] = client.info("persistence")  # type: ignore[assignment]  # for both
        if not said.get("aof_enabled"):
            raise Refused(
                f"{place_of(target)} keeps no append-only file (appendonly no)",
                hint='switch it on with CONFIG SET appendonly yes, or back up with format = "rdb"',
            )
        if configured is None:
            configured = _asked(client, target)
    for folder in (configured, configured / FOLDER_NAME):
        if manifest_of(folder) is not None:
            return folder
    raise ConfigError(
        f"there is no append-only file at {configured}",
        hint="set aof_folder to the server's appendonlydir as this machine sees it, and let this "
        "user enter it",
    )


def _asked(client: valkey.Valkey, target: Target) -> Path:
    """Where the server says that it is."""
    hint = "set aof_folder to the server's appendonlydir as this machine sees it"
    if not endpoint_of(target).address.local:
        raise ConfigError(
            f"where the append-only file of {place_of(target)} can be read is not known: it is "
            "on another machine",
            hint=hint,
        )
    try:
        said: dict[Any, Any] = {}
        for name in ("dir", "appenddirname"):
            said |= client.config_get(name)  # type: ignore[arg-type]  # for both
    except valkey.exceptions.ResponseError:
        raise ConfigError(
            f"{place_of(target)} does not say where its append-only file is",
            hint=f"{hint}, or grant the backup's user +config|get",
        ) from None
    words = {_text(name): _text(value) for name, value in said.items()}
    return Path(words["dir"], words["appenddirname"])


def _text(word: bytes | str) -> str:
    return os.fsdecode(word)


@contextmanager
def opened(folder: Path) -> Iterator[OpenLog]:
    """All parts in that folder, open.

    Raises:
        Unreachable: they cannot be read, or are damaged.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        with ExitStack() as stack:
            try:
                log = _open(folder, stack)
                log.check()
            except (FileNotFoundError, LogMoved):
                if attempt == _ATTEMPTS:
                    raise Unreachable(
                        f"a part of the append-only file in {folder} is missing",
                        hint="look at the server's log: what its manifest names is not there",
                    ) from None
                continue
            yield log
            return


def _open(folder: Path, stack: ExitStack) -> OpenLog:
    manifest = _manifest(folder)
    try:
        parts = parts_of(manifest)
    except (JudgedBad, Inconclusive) as error:
        raise Unreachable(f"{folder}: {error.message}", hint="look at the server's log") from error
    held = [OpenPart(part, _descriptor(folder / part.name, stack)) for part in parts]
    increments = tuple(part for part in held if part.part.kind != BASE)
    if not increments:
        raise Unreachable(
            f"the manifest in {folder} names no increment",
            hint="does the server that is backed up write there?",
        )
    base = next((part for part in held if part.part.kind == BASE), None)
    return OpenLog(folder, manifest, base, increments)


def _descriptor(path: Path, stack: ExitStack) -> int:
    try:
        # a pipe in its place must not hold us up
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(path.name, error) from error
    stack.callback(os.close, descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise Unreachable(f"{path} is no file", hint="look at the server's log")
    return descriptor


def _manifest(folder: Path) -> bytes:
    path = manifest_of(folder)
    if path is None:
        raise LogMoved("it has not exactly one manifest")
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path.name, error) from error


def _unreadable(name: str, error: OSError) -> Unreachable:
    return Unreachable(
        f"{name} cannot be read: {(error.strerror or 'unknown reason').lower()}",
        hint="let the backup's user read the server's appendonlydir and its files",
    )
