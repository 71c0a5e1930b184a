"""Programs that the server's own user cannot reach are copied to where it can.

A virtual environment below ``/root`` is the usual case: ``/root`` is closed to everybody else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from restoreproof.errors import Inconclusive

OWNER = "owner.json"
"""The marker in the folder of a sandbox's home."""


def reachable(trees: Sequence[Path]) -> bool:
    """Whether a user without any rights of its own can read everything in these trees."""
    return all(_parents_open(tree) and _open(tree) for tree in trees)


def stage(programs: Path, trees: Sequence[Path], target: Path) -> tuple[Path, tuple[Path, ...]]:
    """Copy the trees below ``target``, in the same places relative to each other.

    Returns:
        The folder of the programs in the copy, and the copied trees.
    """
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    placed, copies = _places(programs, trees, target)
    for tree, copy in zip(trees, copies, strict=True):
        _make_folders(copy.parent, target)
        _copy(tree, copy)
    return placed, copies


def stage_beside(
    home: Path, programs: Path, trees: Sequence[Path]
) -> tuple[Path, tuple[Path, ...]]:
    """Copy the programs of a client to where the user of that home can reach them, once.

    They go when the home goes.

    Raises:
        Inconclusive: it is not the home of a sandbox of this kind.
    """
    if not (home.parent / OWNER).is_file():
        raise Inconclusive(
            f"the programs in {programs} cannot be confined: others may not enter that folder",
            hint="install them where every user can read them",
        )
    name = hashlib.sha256(os.fsencode(programs)).hexdigest()[:16]
    target = home.parent / f"clients-{name}"
    if target.is_dir():
        return _places(programs, trees, target)
    return stage(programs, trees, target)


def _places(programs: Path, trees: Sequence[Path], target: Path) -> tuple[Path, tuple[Path, ...]]:
    common = Path(os.path.commonpath([programs, *trees]))
    return (
        target / programs.relative_to(common),
        tuple(target / tree.relative_to(common) for tree in trees),
    )


def _parents_open(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def _open(path: Path) -> bool:
    mode = path.stat().st_mode
    if not stat.S_ISDIR(mode):
        return bool(mode & stat.S_IROTH) and bool(mode & stat.S_IXOTH or not mode & stat.S_IXUSR)
    if mode & (stat.S_IROTH | stat.S_IXOTH) != stat.S_IROTH | stat.S_IXOTH:
        return False
    return all(_open(entry) for entry in path.iterdir() if not entry.is_symlink())


def _make_folders(folder: Path, top: Path) -> None:
    if folder != top and not folder.exists():
        _make_folders(folder.parent, top)
        folder.mkdir()
        folder.chmod(0o755)


def _copy(source: Path, target: Path) -> None:
    """Others can read and execute the copy; only its owner, which is us, can change it."""
    if source.is_dir():
        target.mkdir(exist_ok=True)  # a single tree becomes the target itself
        target.chmod(0o755)
        for entry in source.iterdir():
            inside = target / entry.name
            if entry.is_symlink():
                inside.symlink_to(entry.readlink())
            else:
                _copy(entry, inside)
    else:
        shutil.copyfile(source, target)
        target.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)
