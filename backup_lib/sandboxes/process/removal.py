"""Removing a tree that somebody hostile filled: any depth, any permissions, no link followed."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(top: Path) -> None:
    """Remove ``top`` and everything below it; whoever used it must have ended.

    Folders found inside are moved up to ``top`` before they are emptied, so that neither recursion
    nor the length of a path ever matters.

    Raises:
        OSError: something in it is not ours to remove.
    """
    _take(os.fspath(top), None)
    handle = os.open(top, _FOLDER)
    try:
        while names := os.listdir(handle):  # noqa: PTH208  # by descriptor
            for name in names:
                if _is_folder(name, handle):
                    _empty(name, handle)
                    os.rmdir(name, dir_fd=handle)
                else:
                    os.unlink(name, dir_fd=handle)
    finally:
        os.close(handle)
    top.rmdir()


def _is_folder(name: str, inside: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=inside, follow_symlinks=False).st_mode)


def _take(name: str, inside: int | None) -> None:
    """Get all rights on a folder. A root without the right to override needs to own it first."""
    if os.geteuid() == 0:
        os.chown(name, 0, 0, dir_fd=inside, follow_symlinks=False)
    os.chmod(name, 0o700, dir_fd=inside)


def _empty(name: str, top: int) -> None:
    """Remove the files in a folder of ``top``, and move its folders to ``top``."""
    _take(name, top)
    handle = os.open(name, _FOLDER, dir_fd=top)
    try:
        for entry in os.listdir(handle):  # noqa: PTH208  # by descriptor
            if _is_folder(entry, handle):
                _take(entry, handle)  # moving it changes its own ".."
                os.rename(entry, f".{secrets.token_hex(8)}", src_dir_fd=handle, dst_dir_fd=top)
            else:
                os.unlink(entry, dir_fd=handle)
    finally:
        os.close(handle)
