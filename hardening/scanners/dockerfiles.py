"""Which files are Dockerfiles."""

from __future__ import annotations

from pathlib import PurePosixPath

_NAMES = frozenset({"dockerfile", "containerfile"})
_OTHERS = frozenset(
    (
        *("dockerignore", "bak", "orig", "swp", "tmpl", "tpl", "j2", "jinja", "jinja2"),
        *("go", "js", "json", "md", "py", "pyc", "rst", "ts", "txt", "yaml", "yml"),
    )
)
"""What ``Dockerfile.SUFFIX`` is where it is no Dockerfile."""


def is_dockerfile(path: PurePosixPath) -> bool:
    """Whether a file is named as builders name theirs, ``web.Dockerfile`` among them."""
    stem, _, last = path.name.lower().partition(".")
    last = last.rpartition(".")[2]
    return (stem in _NAMES and last not in _OTHERS) or path.suffix.lower()[1:] in _NAMES
