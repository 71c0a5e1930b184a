"""Names of commands that a server of our own may not know: renamed ones, and those of modules.

An append-only file holds each command under the name that its client called it by. Such a name and
a garbled one look alike to whoever loads the file, so it is told apart while it is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import valkey

from backup_lib.byte_source import ByteSource
from backup_lib.model import JsonValue, Target
from backup_lib.stores.valkey import facts
from backup_lib.stores.valkey.address import connect, place_of
from backup_lib.stores.valkey.aof.commands import walk
from restoreproof.errors import Inconclusive, JudgedBad, Refused, Unreachable

DETAIL = "commands"
MOST_NAMES = 2000
_SHOWN = 5
_LONGEST_SHOWN = 40


def recorded(target: Target, info: facts.Info, log: Iterable[bytes]) -> tuple[str, ...]:
    """The names in ``log`` that its source knows; none where all are surely a server's own.

    Args:
        target: the source.
        info: what it says about itself.
        log: the commands that are to be copied; read only where the source does not rule out that
            there are such names.

    Raises:
        Refused: the source has renamed one of them, so that no other server loads the file.
        Unreachable: the commands are damaged on its disk, or it is away.
    """
    with connect(target) as client:
        client.response_callbacks.clear()
        if not info.modules and _all_own(client):
            return ()
        names = sorted(_names(log))
        known = _asked(client, names)
    if known is None:
        return tuple(map(_text, names))
    renamed = [name for name in names if known[name] not in (None, name)]
    if renamed:
        raise Refused(
            f"{place_of(target)} has renamed commands (rename-command), and its append-only file "
            f"holds {_shown(renamed)}: no other server would load it",
            hint='back it up with format = "rdb", or take the rename-command away, restart the '
            "server and run BGREWRITEAOF; nothing was stored",
        )
    return tuple(_text(name) for name in names if known[name] is not None)


def refuse_recorded(details: Mapping[str, JsonValue], target: Target) -> None:
    """Look whether a disposable server knows the names that were recorded with a backup.

    Raises:
        Inconclusive: it does not.
    """
    names = details.get(DETAIL)
    if isinstance(names, Sequence):
        refuse_unknown(target, [str(name).encode() for name in names])


def refuse_unknown(target: Target, names: Iterable[bytes]) -> None:
    """Look whether a disposable server knows all those commands.

    Raises:
        Inconclusive: it does not.
    """
    wanted = sorted(names)
    with connect(target) as client:
        client.response_callbacks.clear()
        known = _asked(client, wanted) or {}
    unknown = [name for name in wanted if known.get(name) is None]
    if unknown:
        raise Inconclusive(
            f"the disposable server does not know its commands {_shown(unknown)}",
            hint="they are of a module or of a newer server, renamed (rename-command), or damaged: "
            "restore it with a server of the kind that wrote it",
        )


def _all_own(client: valkey.Valkey) -> bool:
    """Whether a server surely calls all of its commands by their own names."""
    try:
        said: Any = client.execute_command("COMMAND")  # type: ignore[no-untyped-call]  # valkey-py leaves it untyped
    except valkey.ResponseError:
        return False
    names = [bytes(about[0]).upper() for about in said]
    known = _asked(client, names)
    return known is not None and None not in known.values()


def _asked(client: valkey.Valkey, names: Sequence[bytes]) -> dict[bytes, bytes | None] | None:
    """What a server calls them, in capitals: None each that it does not know.

    None in all where it may not be asked.
    """
    if not names:
        return {}
    try:
        said: Any = client.execute_command("COMMAND", "INFO", *names)  # type: ignore[no-untyped-call]  # valkey-py leaves it untyped
    except valkey.ResponseError:
        return None
    return {
        name: None if about is None else bytes(about[0]).upper()
        for name, about in zip(names, said, strict=True)
    }


def _names(log: Iterable[bytes]) -> frozenset[bytes]:
    names: set[bytes] = set()
    try:
        for command in walk(ByteSource(log)):
            if len(names) < MOST_NAMES:
                names.add(command.name)
    except JudgedBad as error:
        raise Unreachable(
            f"the append-only file on the disk of the source: {error.message}",
            hint="the server could not start with it: run BGREWRITEAOF, and look at its disk; "
            "nothing was stored",
        ) from error
    return frozenset(names)


def _shown(names: Sequence[bytes]) -> str:
    return ", ".join(_text(name)[:_LONGEST_SHOWN] for name in names[:_SHOWN])


def _text(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")
