"""A disk of its own for a folder, so that it can really be full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted tmpfs, whose free space is set by a file that takes the rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def leave(self, free: int) -> None:
        """Fill it up to so many bytes (whole pages)."""
        self.empty()
        with self._ballast.open("wb") as file:
            size = max(0, shutil.disk_usage(self.folder).free - free)
            os.posix_fallocate(file.fileno(), 0, size or 1)

    def empty(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mount an empty disk of that size over a folder; what is in it already is copied over.

    Skips the test where this system forbids mounts.
    """
    aside = folder.with_name(folder.name + ".aside")
    shutil.copytree(folder, aside, symlinks=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        shutil.rmtree(aside)
        pytest.skip("a file system cannot be mounted here")
    try:
        shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True)
        yield SmallDisk(folder)
    finally:
        shutil.rmtree(aside)
        subprocess.run(["umount", "-l", folder], check=True)
