"""The names of what a PostgreSQL server offers and of what a backup needs: one vocabulary for both.

Keys of :attr:`backup_lib.model.ServerFacts.features`; what is not there is not offered.

=============================  ==================================================================
``extension:NAME``             installed on the server; the value is its default version
``locale_provider:PROVIDER``   ``libc``, ``icu`` or ``builtin``
``locale:NAME``                a libc locale, named as :func:`libc_locale` does
``xml``                        built with libxml: the ``xml`` type takes values
``toast_compression:METHOD``   ``lz4`` beside ``pglz``, which every server has
``access_method:NAME``         a table or index access method that is not built in
``tls``                        ``yes`` or ``no``: whether connections *can* be encrypted
=============================  ==================================================================

The server's version itself is the key ``server``; as a need its value is the least major version.
"""

from __future__ import annotations

import re

SERVER = "server"
XML = "xml"
TLS = "tls"
YES = "yes"
NO = "no"

OLDEST_MAJOR = 14
NEWEST_MAJOR = 18
BUILTIN_PROVIDER_SINCE = 17
"""The first major version with the locale provider ``builtin``."""


def extension(name: str) -> str:
    """Key of an extension."""
    return f"extension:{name}"


def locale_provider(name: str) -> str:
    """Key of a locale provider: ``libc``, ``icu``, ``builtin``."""
    return f"locale_provider:{name}"


def toast_compression(method: str) -> str:
    """Key of a compression method for large values."""
    return f"toast_compression:{method}"


def access_method(name: str) -> str:
    """Key of a table or index access method."""
    return f"access_method:{name}"


def locale(name: str) -> str:
    """Key of a libc locale, however its encoding is spelled."""
    return f"locale:{libc_locale(name)}"


def libc_locale(name: str) -> str:
    """A libc locale as ``locale -a`` lists it: ``de_DE.UTF-8`` becomes ``de_DE.utf8``.

    glibc itself drops everything but letters and digits from the encoding, and its case.
    """
    stem, dot, rest = name.partition(".")
    if not dot:
        return name
    encoding, at, modifier = rest.partition("@")
    encoding = re.sub(r"[^a-z0-9]", "", encoding.lower())
    return f"{stem}{dot}{encoding}{at}{modifier}"


def major(version: str) -> int:
    """The major version in what a server or a tool says: ``15.18 (Debian 15.18-0)`` is 15.

    Raises:
        ValueError: there is no number in it.
    """
    match = re.search(r"\d+", version)
    if match is None:
        raise ValueError(f"no version in {version!r}")
    return int(match.group())
