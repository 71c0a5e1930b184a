"""Where disposable servers live: one folder each, with an owner, and swept when the owner is gone.

::

    FOLDER/                    ours; others may pass through, not look
    └── 60706/                 the slot; its name is the user id that the server runs as
        ├── owner.json         locked by the owner for as long as it lives; pid, start time, boot
        ├── server.log         what the programs said; ours, so that the server cannot read it
        ├── programs/          a copy, only where the server's user could not reach the original
        └── home/              the server's; the only place where it can write

Making the slot allocates the user id: no two sandboxes share one. A slot appears with its marker
inside (it is made aside and renamed), so that there is never one without an owner to ask about.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from backup_lib.sandboxes.process import leftovers
from backup_lib.sandboxes.process.removal import remove_tree
from backup_lib.sandboxes.process.staging import OWNER
from backup_lib.sandboxes.process.users import SLOTS, UserLock, users_at_work
from restoreproof.errors import Inconclusive, UsageError
from restoreproof.process import procfs

SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path; sockaddr_un(7) has 108 with the closing NUL."""
_ROOM_FOR_SOCKET = len("/60706/home/run/.s.PGSQL.5432") + 4

_HOME = "home"
_NEW, _OLD = ".new-", ".old-"

Complaint: TypeAlias = Callable[[Path, OSError], object]


@dataclass(frozen=True, slots=True)
class Home:
    """One slot while its owner, this process, holds it.

    Attributes:
        slot: the folder of all of it.
        path: the server's own folder.
        user: user and group id that the server runs as; None where we are not root.
    """

    slot: Path
    path: Path
    user: tuple[int, int] | None

    @property
    def log(self) -> Path:
        """What the programs said."""
        return self.slot / "server.log"

    def give_to(self, uid: int | None) -> None:
        """Hand the server's folder, with everything in it, to a user; links are not followed."""
        if self.user is None or uid is None:
            return
        gid = self.user[1]
        os.chown(self.path, uid, gid)
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                os.chown(Path(folder, name), uid, gid, follow_symlinks=False)


class Homes:
    """All slots of this user, in one folder.

    Args:
        folder: made where it is missing; a short path below the system's temporary folder if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _default_folder()
        self._chosen = folder is not None

    @contextmanager
    def open(self, complain: Complaint) -> Iterator[Home]:
        """A fresh slot, removed at the end with every process and shared memory of its user.

        Leftovers of owners that are gone are removed first.

        Args:
            complain: told of a folder that could not be removed, and why.

        Raises:
            UsageError: the folder cannot be used.
            Inconclusive: all slots are taken, or there is no user to give.
        """
        self._ensure_folder()
        self.sweep(complain)
        with ExitStack() as stack:
            home, user_lock = self._claim(stack)
            stack.callback(self._discard, home.slot, user_lock, complain)
            yield home

    def sweep(self, complain: Complaint) -> tuple[Path, ...]:
        """Remove what dead owners left behind; slots of living ones are not touched.

        Returns:
            The folders that were removed.
        """
        return tuple(
            entry for entry in sorted(self.folder.iterdir()) if self._swept(entry, complain)
        )

    def _swept(self, entry: Path, complain: Complaint) -> bool:
        if entry.is_symlink() or not entry.is_dir():
            return False
        if entry.name.startswith((_NEW, _OLD)):  # nothing was started in it, or it was ended
            return not _at_work_on(entry.name) and self._remove(entry, complain)
        if not entry.name.isdigit() or (lock := _lock_of_dead_owner(entry)) is None:
            return False
        # Somebody else's by now, where it cannot be had: then its processes are not of this slot.
        user_lock = UserLock.take(int(entry.name)) if os.geteuid() == 0 else None
        try:
            return self._discard(entry, user_lock, complain)
        finally:
            if user_lock is not None:
                user_lock.release()
            os.close(lock)

    def _ensure_folder(self) -> None:
        root = os.geteuid() == 0
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            about = self.folder.lstat()
        except OSError as error:
            raise UsageError(
                f"the sandbox folder {self.folder} cannot be made: {error.strerror}",
                hint='set another one: folder = "…" in the sandbox\'s section',
            ) from error
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            raise UsageError(
                f"the sandbox folder {self.folder} is not a folder of ours",
                hint='remove it, or set another one: folder = "…" in the sandbox\'s section',
            )
        if len(os.fsencode(self.folder)) + _ROOM_FOR_SOCKET > SOCKET_PATH_LIMIT:
            raise UsageError(
                f"the path of the sandbox folder is too long for a socket: {self.folder}",
                hint=f"the system allows {SOCKET_PATH_LIMIT - _ROOM_FOR_SOCKET} bytes for it",
            )
        self.folder.chmod(0o711 if root else 0o700)
        if root and (closed := _closed_to_others(self.folder)):
            raise UsageError(
                f"the sandbox's own user cannot pass through {closed}",
                hint=_hint_to_open(closed, chosen=self._chosen),
            )

    def _claim(self, stack: ExitStack) -> tuple[Home, UserLock | None]:
        fresh = Path(tempfile.mkdtemp(prefix=f"{_NEW}{_ourselves()}-", dir=self.folder))
        try:
            lock = _write_owner(fresh)
            stack.callback(os.close, lock)
            (fresh / _HOME).mkdir(mode=0o700)
            root = os.geteuid() == 0
            at_work = users_at_work() if root else frozenset()
            for number in SLOTS:
                slot = self.folder / str(number)
                if number in at_work or os.path.lexists(slot):
                    continue
                user_lock = UserLock.take(number) if root else None
                if root and user_lock is None:
                    continue
                if _become(fresh, slot, user_lock):
                    if user_lock is not None:
                        stack.callback(user_lock.release)
                    user = (number, number) if root else None
                    return Home(slot=slot, path=slot / _HOME, user=user), user_lock
                if user_lock is not None:
                    user_lock.release()
            raise Inconclusive(
                f"all sandbox slots in {self.folder} are taken", hint="wait for other runs to end"
            )
        except BaseException:
            if fresh.exists():
                remove_tree(fresh)
            raise

    def _discard(self, slot: Path, user_lock: UserLock | None, complain: Complaint) -> bool:
        """End its processes, then remove everything. The slot stays taken until those are gone."""
        since = 0.0
        with suppress(OSError):
            since = (slot / OWNER).stat().st_mtime
        leftovers.end(slot, user_lock.number if user_lock else None, since)
        return self._remove(slot, complain)

    def _remove(self, folder: Path, complain: Complaint) -> bool:
        aside = self.folder / f"{_OLD}{_ourselves()}-{os.urandom(4).hex()}"
        try:
            folder.rename(aside)  # whoever is the first to do so removes it
        except FileNotFoundError:
            return False
        except OSError as error:
            complain(folder, error)
            return False
        try:
            remove_tree(aside)
        except OSError as error:
            complain(aside, error)
            return False
        return True


def _become(fresh: Path, slot: Path, user_lock: UserLock | None) -> bool:
    """Put a new slot in its place; False where somebody was quicker."""
    if user_lock is not None:
        try:
            os.chown(fresh, 0, user_lock.number)
            fresh.chmod(0o710)
            os.chown(fresh / _HOME, user_lock.number, user_lock.number)
        except OSError as error:
            raise Inconclusive(
                f"a disposable server cannot be given a user of its own: {error.strerror}",
                hint="a root without other users, as in some containers: run as an ordinary user",
            ) from error
    try:
        fresh.rename(slot)
    except OSError:  # a folder with something in it is not replaced
        return False
    return True


def _hint_to_open(closed: Path, *, chosen: bool) -> str:
    if chosen:
        return "choose a folder all of whose parents others may enter (mode o+x)"
    return (
        f"disposable servers live among temporary files, and TMPDIR leads into {closed}: set it to "
        "a folder that others may enter (mode o+x), such as /var/tmp; for rehearsals "
        "folder = … in the sandbox's section will do as well"
    )


def _default_folder() -> Path:
    name = f"restoreproof-{os.geteuid()}"
    folder = Path(tempfile.gettempdir(), name)
    if len(os.fsencode(folder)) + _ROOM_FOR_SOCKET > SOCKET_PATH_LIMIT:
        folder = Path("/tmp", name)  # noqa: S108  # ours alone: made 0700, owner checked before use
    return folder


def _closed_to_others(folder: Path) -> Path | None:
    """The first parent that a user without any rights of its own cannot pass."""
    for parent in (folder.absolute(), *folder.absolute().parents):
        if not parent.stat().st_mode & stat.S_IXOTH:
            return parent
    return None


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _write_owner(slot: Path) -> int:
    """The marker, and the lock on it that the kernel lets go of when we die."""
    lock = os.open(slot / OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    maker = procfs.stat_of(os.getpid())
    owner = {"pid": os.getpid(), "started": maker.started if maker else 0, "boot": _boot()}
    os.write(lock, json.dumps(owner).encode())
    return lock


def _ourselves() -> str:
    """This process, as a part of a name."""
    found = procfs.stat_of(os.getpid())
    return f"{os.getpid()}-{found.started if found else 0}"


def _at_work_on(name: str) -> bool:
    """Whether the process in the name of a folder, which makes or removes it, is still there."""
    match = re.match(r"\.[a-z]+-(\d+)-(\d+)-", name)
    return match is not None and bool(procfs.living([(int(match[1]), int(match[2]))]))


def _lock_of_dead_owner(slot: Path) -> int | None:
    """The owner's lock, taken over; None while the owner, or another sweeper, is alive.

    Both are asked, lock and process: the lock is right across containers that share the folder,
    the process where a file system does not lock.
    """
    try:
        lock = os.open(slot / OWNER, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        owner = json.loads(os.read(lock, 4096) or b"{}")
        found = procfs.stat_of(owner["pid"]) if owner.get("boot") == _boot() else None
        if found and found.alive and found.started == owner["started"]:
            os.close(lock)
            return None
    except OSError:
        os.close(lock)
        return None
    except (ValueError, KeyError, TypeError):
        pass  # a marker cut short: its writer died while writing
    return lock
