"""References to images: ``registry:5000/name:tag@sha256:…``."""

from __future__ import annotations

import re

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def is_pinned(reference: str) -> bool:
    """Whether it ends in a digest."""
    return bool(_DIGEST.search(reference))


def tag(reference: str) -> str:
    """The tag, or the empty string."""
    last = reference.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2]


def repository(reference: str) -> str:
    """The last component of the name, without registry, tag and digest: ``postgres``."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]
