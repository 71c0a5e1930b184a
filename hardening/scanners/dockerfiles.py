"""Which files are Dockerfiles."""

from __future__ import annotations

from pathlib import PurePosixPath


def is_dockerfile(path: PurePosixPath) -> bool:
    """Whether a file is named as builders name theirs."""
    stem, _, last = path.name.partition(".")
    named = {"dockerfile", "containerfile"}
    return (stem.lower() in named and last != "dockerignore") or path.suffix.lower()[1:] in named
