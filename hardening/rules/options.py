"""What the rules of our own can be told, and how much hostile input may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DENIED_TOOLS = frozenset(
    (
        *("curl", "wget", "ftp", "lftp", "tftp", "aria2", "axel", "lynx", "w3m"),
        *("gcc", "g++", "cc", "c++", "clang", "make", "cmake", "ld", "as", "rustc", "tcc"),
        *("build-essential", "build-base", "gcc-c++", "binutils", "python3-dev", "python-dev"),
        *("nc", "netcat", "netcat-openbsd", "netcat-traditional", "ncat", "nmap", "nmap-ncat"),
        *("socat", "telnet", "inetutils-telnet", "tcpdump", "strace", "gdb", "ltrace"),
        *("vim", "vim-tiny", "vim-nox", "vi", "nano", "emacs", "emacs-nox", "git", "sudo"),
        *("ssh", "sshd", "openssh-client", "openssh-server", "openssh-clients", "openssh"),
    )
)
"""Names of packages and of programs; what an intruder would otherwise have to bring along."""

SKIPPED_FOLDERS = frozenset(
    (
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".terraform", "site-packages"),
    )
)
"""Folders in which nobody keeps Dockerfiles of their own."""


class CopyOwnership(StrEnum):
    """Who shall own what ``COPY`` and ``ADD`` bring into the final stage.

    ``stated``: each says ``--chown``. ``root``: nothing belongs to the user that runs, so that a
    taken-over process cannot change its own code. ``any``: not judged.
    """

    STATED = "stated"
    ROOT = "root"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read; beyond them a thing is *not scanned*, and said to be.

    Attributes:
        file_bytes: of one Dockerfile, Compose or ignore file.
        instructions: of one Dockerfile.
        nodes: of one Compose file after anchors are expanded.
        context_entries: files and folders of one build context.
        context_seconds: that one build context may take.
        files: that are looked at below the root, to find Dockerfiles and Compose files.
        image_bytes: unpacked bytes of one image.
        image_entries: archive members of one image.
    """

    file_bytes: int = 1 << 20
    instructions: int = 10_000
    nodes: int = 100_000
    context_entries: int = 200_000
    context_seconds: float = 30.0
    files: int = 1_000_000
    image_bytes: int = 64 << 30
    image_entries: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the rules; the defaults are the strict choice.

    Attributes:
        denied_tools: packages and programs that have no business in a final stage.
        copy_ownership: who shall own copied files.
        base_users: ``{"gcr.io/distroless/*:nonroot*": "65532"}``: the user that a base image runs
            as, by shell pattern over the reference without its digest. One that is not named here
            is not known, and counts as root.
        build_args: values given to the build, by name.
        environment: variables for Compose files, by name; ``.env`` beside a file is read as well.
        contexts: the build context of a Dockerfile, both as paths relative to the scanned root.
        skipped_folders: names of folders that are not looked into for files.
        limits: bounds on hostile input.
    """

    denied_tools: frozenset[str] = DENIED_TOOLS
    copy_ownership: CopyOwnership = CopyOwnership.STATED
    base_users: Mapping[str, str] = field(default_factory=dict)
    build_args: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    skipped_folders: frozenset[str] = SKIPPED_FOLDERS
    limits: Limits = field(default_factory=Limits)
