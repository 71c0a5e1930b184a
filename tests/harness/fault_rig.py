"""What the fault suites know of a store, of whatever kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoreRig:
    """A store of a running server.

    Attributes:
        kind: of the store.
        section: lines of its table in the configuration.
        files: name and content of files beside the configuration that ``section`` refers to.
        server: id of the server's first process.
        data: the folder of that server, by which its processes are known.
        content: everything that is in the store, comparable.
        remains: sessions, locks, copies that a run has on the server at this moment.
        grow: put about so many bytes more into it.
        shrink: take away what ``grow`` added.
        alter: change the content, so that it is not that of a backup; each time in the same way.
        execute: run a statement in the store's own language.
        demand_password: let the user ``locked`` in with the right password only.
        place: its name, as ``--confirm`` takes it.
        socket_name: of the socket of a disposable server, in its folder.
        port: loopback port of the server; 0 where it has none.
        dumper: the program that makes the dump, as ``/proc/PID/comm`` names it; none if empty.
        restorer: the program that restores, likewise.
        emptied: whether no entry is left in it, as where a restore over existing data broke off;
            of no use where old and new are exchanged at once.
    """

    kind: str
    section: str
    files: Mapping[str, str]
    server: int
    data: Path
    content: Callable[[], object]
    remains: Callable[[], list[str]]
    grow: Callable[[int], None]
    shrink: Callable[[], None]
    alter: Callable[[], None]
    execute: Callable[[str], None]
    demand_password: Callable[[], None]
    place: str
    socket_name: str
    port: int = 0
    dumper: str = ""
    restorer: str = ""
    emptied: Callable[[], bool] = bool
