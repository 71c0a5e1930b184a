"""Data of modules: only a server that has the module loads it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import valkey

from backup_lib.model import Target
from backup_lib.stores.valkey.address import SOCKET_PARAM

_LOG = "server.log"
_TAIL = 64 * 1024
_MISSING = re.compile(r"can't load: no matching module(?: type)? '([^']{1,40})'")


def tell_reasons(client: valkey.Valkey) -> None:
    """Have a disposable server log why it does not load a file: it does so at this level only."""
    client.config_set("loglevel", "verbose")


def missing_module(target: Target) -> str:
    """The module whose data a disposable server could not load; empty where it names none.

    The answer to the command tells only that it failed: the reason is in the server's log (see
    :func:`tell_reasons`), which the sandbox keeps beside the server's folder, out of its reach.
    """
    log = Path(target.params[SOCKET_PARAM]).parent.parent / _LOG
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            said = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    found = _MISSING.findall(said)
    return found[-1] if found else ""
