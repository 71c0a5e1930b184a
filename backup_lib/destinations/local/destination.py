"""The destination itself: begins, lists, reads, deletes and sweeps sets."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, cast

from backup_lib.destinations.base import MANIFEST_NAME, SET_ID, SetRef
from backup_lib.destinations.local import tree
from backup_lib.destinations.local.writer import LocalSetWriter, Space
from restoreproof.atomic import PART_SUFFIX, fsync_folder
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.errors import ConfigError, LockHeld, Refused, Unreachable
from restoreproof.guard import guarded
from restoreproof.locks import hold, inspect, remains
from restoreproof.pathnames import decode_component, encode_component, is_safe_path

if TYPE_CHECKING:
    from pydantic import BaseModel

_LOCK = ".lock"
_TRASH = re.compile(r"\.trash-[0-9a-f]{16}")
_MAX_MANIFEST = 64 << 20
_LEASE = timedelta(seconds=60)


class LocalDestination:
    """Backup sets below one folder.

    Args:
        path: an existing folder.
        reserve: bytes of free space that are left alone.
        lease: how long a writer on another machine counts as alive after its last sign of life.
        clock: of the lease.
    """

    kind: ClassVar[str] = "local"

    def __init__(
        self,
        path: Path,
        *,
        reserve: int = 64 << 20,
        lease: timedelta = _LEASE,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._root = path
        self._space = Space(path, reserve)
        self._lease = lease
        self._clock = clock

    @classmethod
    def settings(cls) -> type[BaseModel]:
        """The model of ``[destination.NAME]``, without ``kind``."""
        from backup_lib.destinations.local.settings import LocalSettings

        return LocalSettings

    @classmethod
    def from_settings(cls, name: str, settings: BaseModel, base: Path) -> LocalDestination:
        """A destination with those settings; ``base`` is the configuration file's folder.

        Raises:
            ConfigError: the path is not a folder.
        """
        from backup_lib.destinations.local.settings import LocalSettings

        local = cast("LocalSettings", settings)
        path = base / local.path
        if path.exists() and not path.is_dir():
            raise ConfigError(
                f"the path of destination {name!r} is not a folder: {path}",
                hint="give an existing folder",
                key=f"destination.{name}.path",
            )
        return cls(path, reserve=local.reserve)

    def probe(self) -> str:
        tree.require_folder(self._root)
        with tree.errors_of(self._root), tempfile.TemporaryFile(dir=self._root) as file:
            file.write(b"restoreproof")
        self._space.check()
        return f"{self._space.free() / 2**30:.1f} GiB free"

    @contextmanager
    def write_set(self, ref: SetRef) -> Iterator[LocalSetWriter]:
        tree.require_folder(self._root)
        self._space.check()
        folder = self._folder(ref)
        with ExitStack() as stack:
            with guarded(self._root / "sets"), tree.errors_of(self._root):
                stack.callback(self._remove_if_empty, folder.parent)
                self._make_folder_of(ref, folder)
                try:
                    owner = f"backup {ref.set_name}/{ref.set_id}"
                    lock = stack.enter_context(
                        hold(folder / _LOCK, owner=owner, lease=self._lease, clock=self._clock)
                    )
                except BaseException:
                    self._discard(folder)
                    raise
            writer = LocalSetWriter(folder, self._space, lock)
            try:
                yield writer
            finally:
                if not writer.published:
                    self._discard(folder)

    def sets(self, set_name: str | None = None) -> Iterator[SetRef]:
        tree.require_folder(self._root)
        with tree.errors_of(self._root):
            for folder in self._set_folders(set_name):
                ref = self._ref(folder)
                if ref is not None and self._is_published(folder):
                    yield ref

    def manifest(self, ref: SetRef) -> bytes:
        try:
            with self.open(ref, MANIFEST_NAME) as file, tree.errors_of(self._root):
                return file.read(_MAX_MANIFEST + 1)
        except FileNotFoundError:
            raise Unreachable(
                f"there is no set {ref.set_name}/{ref.set_id} in {self._root}",
                hint="inv backup.list shows what is there",
            ) from None

    @contextmanager
    def open(self, ref: SetRef, name: str) -> Iterator[BinaryIO]:
        with os.fdopen(self._descriptor(ref, name), "rb") as file:
            yield file

    def size(self, ref: SetRef, name: str) -> int:
        descriptor = self._descriptor(ref, name)
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def delete(self, ref: SetRef) -> None:
        tree.require_folder(self._root)
        folder = self._folder(ref)
        if not self._is_published(folder):
            raise Unreachable(
                f"there is no set {ref.set_name}/{ref.set_id} in {self._root}",
                hint="inv backup.list shows what is there",
            )
        trash = self._new_trash()
        with tree.errors_of(self._root):
            folder.rename(trash)  # in one step: what a kill leaves is known for ours by its name
            fsync_folder(folder.parent)
            fsync_folder(self._root)
            shutil.rmtree(trash, ignore_errors=True)
            self._remove_if_empty(folder.parent)

    def sweep(self) -> tuple[str, ...]:
        tree.require_folder(self._root)
        removed: list[str] = []
        with tree.errors_of(self._root):
            with guarded(self._root / "sets"):
                pass  # a guard file left by a killed run goes when its section is left
            for trash in sorted(self._root.iterdir()):
                if _TRASH.fullmatch(trash.name):
                    shutil.rmtree(trash, ignore_errors=True)
            for folder in self._set_folders(None):
                name = f"{folder.parent.name}/{folder.name}"
                if self._ref(folder) is None:
                    continue
                if self._is_published(folder):
                    # what is there under the name of a lock, and is no file, no run of ours made
                    if not self._is_foreign_lock(folder) and not self._is_alive(folder):
                        self._tidy(folder)
                elif self._is_of_a_run(folder):
                    if not self._is_alive(folder) and self._sweep_unpublished(folder):
                        removed.append(name)
                elif self._remove_barely_begun(folder):
                    removed.append(name)
        return tuple(removed)

    def _folder(self, ref: SetRef) -> Path:
        return self._root / encode_component(ref.set_name) / encode_component(ref.set_id)

    def _ref(self, folder: Path) -> SetRef | None:
        set_name = decode_component(folder.parent.name)
        set_id = decode_component(folder.name)
        return None if set_name is None or set_id is None else SetRef(set_name, set_id)

    def _set_folders(self, set_name: str | None) -> Iterator[Path]:
        """The folders of all sets, published or not."""
        wanted = tree.folders(self._root)
        if set_name is not None:
            wanted = tuple(name for name in wanted if name == encode_component(set_name))
        for name in wanted:
            for set_id in tree.folders(self._root / name):
                yield self._root / name / set_id

    def _is_published(self, folder: Path) -> bool:
        return tree.is_file(self._root, (folder.parent.name, folder.name, MANIFEST_NAME))

    def _descriptor(self, ref: SetRef, name: str) -> int:
        tree.require_folder(self._root)
        if not is_safe_path(name):
            raise FileNotFoundError(name)
        folder = self._folder(ref)
        parts = (folder.parent.name, folder.name, *name.split("/"))
        try:
            return tree.open_file(self._root, parts)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise tree.translated(self._root, error) from error

    def _make_folder_of(self, ref: SetRef, folder: Path) -> None:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        if folder.parent.is_symlink():
            raise Refused(
                f"{folder.parent} is a symbolic link; sets are kept in real folders only",
                hint="remove the link, or give its target as the path of a destination",
            )
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise Refused(
                f"there is a set {ref.set_name}/{ref.set_id} already", hint="nothing was changed"
            ) from None
        fsync_folder(folder.parent)
        fsync_folder(self._root)

    def _is_of_a_run(self, folder: Path) -> bool:
        """Whether a run of ours made that folder: its lock, and the name that runs give.

        What somebody else keeps below the same folder has neither, and is never touched.
        """
        ref = self._ref(folder)
        return (
            ref is not None
            and SET_ID.fullmatch(ref.set_id) is not None
            and tree.is_file(self._root, (folder.parent.name, folder.name, _LOCK))
        )

    def _remove_barely_begun(self, folder: Path) -> bool:
        """Remove the folder of a run that died before it had its lock: there is nothing in it."""
        begun = remains(folder / _LOCK)
        with guarded(self._root / "sets"), suppress(OSError):
            if all(path in begun for path in folder.iterdir()):
                for path in begun:
                    path.unlink(missing_ok=True)
                folder.rmdir()
        if folder.exists():
            return False
        self._remove_if_empty(folder.parent)
        return True

    def _is_foreign_lock(self, folder: Path) -> bool:
        """Whether a link, a folder or a pipe is in the place of a lock."""
        parts = (folder.parent.name, folder.name, _LOCK)
        return os.path.lexists(folder / _LOCK) and not tree.is_file(self._root, parts)

    def _is_alive(self, folder: Path) -> bool:
        """Whether the run that writes this set still lives; may take half a lease."""
        return inspect(folder / _LOCK, clock=self._clock) is not None

    def _sweep_unpublished(self, folder: Path) -> bool:
        """Remove a dead run's folder; False where it turns out to have come alive or published."""
        trash = self._new_trash()
        with guarded(self._root / "sets"):
            if self._is_published(folder):
                return False
            with suppress(FileNotFoundError):
                folder.rename(trash)
            if (trash / MANIFEST_NAME).exists():  # published in this very moment
                trash.rename(folder)
                return False
        shutil.rmtree(trash, ignore_errors=True)
        self._remove_if_empty(folder.parent)
        return True

    def _tidy(self, folder: Path) -> None:
        """Remove the lock and temporary files that a run left which died while publishing."""
        lock = folder / _LOCK
        for path in (lock, *remains(lock), *folder.glob(f".*{PART_SUFFIX}")):
            with suppress(FileNotFoundError):
                path.unlink()

    def _discard(self, folder: Path) -> None:
        """Remove a set's folder: out of sight at once, then file by file. Never raises."""
        trash = self._new_trash()
        with suppress(OSError):
            (folder / MANIFEST_NAME).unlink(missing_ok=True)
            folder.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)

    def _new_trash(self) -> Path:
        return self._root / f".trash-{secrets.token_hex(8)}"

    def _remove_if_empty(self, set_folder: Path) -> None:
        with suppress(OSError, LockHeld, Unreachable), guarded(self._root / "sets"):
            set_folder.rmdir()
