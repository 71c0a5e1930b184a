"""The environment of a child: made from nothing, so that nothing secret is inherited."""

from __future__ import annotations

import os

_INHERITED = ("PATH", "TZ", "TMPDIR")


def clean_env(**extra: str) -> dict[str, str]:
    """A minimal environment: PATH, TZ and TMPDIR as here, a UTF-8 locale, and ``extra``.

    The locale is ``C.UTF-8``, so that messages of children are in English and their output is
    UTF-8. Nothing else of our own environment is handed on: no HOME (a child would read its
    configuration and password files), no proxy, no token.
    """
    env = {name: os.environ[name] for name in _INHERITED if os.environ.get(name)}
    env.setdefault("PATH", os.defpath)
    env |= {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    return env | extra
