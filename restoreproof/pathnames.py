"""Names of people's things (sets, stores, artifacts) as safe path names, and back.

Every byte of the UTF-8 form outside ``A-Z a-z 0-9 . _ -`` is written ``%XX`` (upper case), and so
is a leading ``.`` or ``-``. Each name has one path name and each path name one name.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from restoreproof.errors import UsageError

MAX_LENGTH = 200
"""Bytes of one encoded component; leaves room for suffixes within the 255 of file systems."""

COMPONENT_PATTERN = r"[A-Za-z0-9_%][A-Za-z0-9._%-]{0,254}"
"""One component of a stored path: no separator, no leading dot or dash, nothing unprintable."""

_COMPONENT = re.compile(COMPONENT_PATTERN)


def encode_component(name: str) -> str:
    """The path name for ``name``.

    Raises:
        UsageError: ``name`` is empty, too long, or not valid Unicode.
    """
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the name {name!r} is not valid Unicode") from None
    # quote() never touches letters, digits and "_.-~"; of these "~" is not ours
    encoded = quote(raw, safe="").replace("~", "%7E")
    if encoded[:1] in {".", "-"}:
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if not encoded:
        raise UsageError("a name is empty", hint="give it at least one character")
    if len(encoded) > MAX_LENGTH:
        raise UsageError(
            f"the name {name[:40]!r}… is too long to be stored",
            hint=f"it takes {len(encoded)} bytes as a path name, at most {MAX_LENGTH} are allowed",
        )
    return encoded


def encode_path(name: str) -> str:
    """The relative path for ``name``, whose ``/`` separate folders.

    Raises:
        UsageError: as :func:`encode_component`, for any part of it.
    """
    return "/".join(encode_component(part) for part in name.split("/"))


def decode_component(encoded: str) -> str | None:
    """The name behind a path name, or None where :func:`encode_component` did not make it."""
    try:
        name = unquote_to_bytes(encoded).decode()
        return name if encode_component(name) == encoded else None
    except (UnicodeDecodeError, UsageError):
        return None


def is_safe_path(path: str) -> bool:
    """Whether ``path`` is relative and made of safe components only."""
    return len(path) <= 1024 and all(_COMPONENT.fullmatch(part) for part in path.split("/"))
