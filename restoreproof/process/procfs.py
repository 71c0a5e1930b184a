"""Processes as Linux shows them in /proc; everything here is empty where there is none.

Source of the fields: proc_pid_stat(5).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Identity: TypeAlias = tuple[int, int]
"""Process id and start time in clock ticks since boot: together never used twice."""

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """What is of interest in ``/proc/PID/stat``. CPU time and start are in clock ticks."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    cpu: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether it is neither a zombie nor gone."""
        return self.state not in "ZXx"

    @property
    def identity(self) -> Identity:
        """Tells it from a later process with the same id."""
        return self.pid, self.started


def stat_of(pid: int) -> Stat | None:
    """The process with that id; None when there is none, or no /proc."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold anything
    return Stat(
        pid=pid,
        state=fields[0],
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        cpu=sum(int(fields[i]) for i in (11, 12, 13, 14)),
        started=int(fields[19]),
    )


def everyone() -> Iterator[Stat]:
    """All processes that can be seen."""
    try:
        names = [entry.name for entry in _PROC.iterdir()]
    except OSError:
        return
    for name in names:
        if name.isdigit() and (stat := stat_of(int(name))):
            yield stat


def _family(leader: int, known: AbstractSet[Identity] = frozenset()) -> list[Stat]:
    seen = list(everyone())
    heads = {leader, *(s.pid for s in seen if s.identity in known)}
    chosen = {s.pid for s in seen if heads & {s.pid, s.session, s.group}}
    grown = True
    while grown:
        more = {s.pid for s in seen if s.parent in chosen} - chosen
        chosen |= more
        grown = bool(more)
    return [s for s in seen if s.pid in chosen]


def members_of(leader: int, known: AbstractSet[Identity] = frozenset()) -> set[Identity]:
    """Living processes of the session or process group ``leader``, and their descendants.

    Those of ``known`` that still live count like the leader: what they start meanwhile is found,
    though the leader is gone and they have a session of their own.
    """
    return {s.identity for s in _family(leader, known) if s.alive}


def cpu_seconds_of(leader: int) -> float | None:
    """CPU seconds of those processes and of the children they waited for; None if unknown."""
    family = _family(leader)
    if not family:
        return None
    return sum(s.cpu for s in family) / os.sysconf("SC_CLK_TCK")


def living(known: Iterable[Identity]) -> set[Identity]:
    """Those which are still there and no zombies."""
    found = (stat_of(pid) for pid, _started in known)
    return {s.identity for s in found if s and s.alive} & set(known)


def freeze(leader: int, known: AbstractSet[Identity] = frozenset()) -> set[Identity]:
    """Stop the processes of :func:`members_of`, and what they start until they are stopped.

    A process with SIGSTOP pending cannot fork any more: what it had forked before is found by the
    next look. So none is left out, unless it was told to go on by somebody else.

    Returns:
        ``known`` and all that were found.
    """
    found = set(known)
    stopped: set[Identity] = set()
    while more := members_of(leader, found) - stopped:
        _send(more, signal.SIGSTOP)
        stopped |= more
        found |= more
    return found


def kill(known: Iterable[Identity]) -> None:
    """Send SIGKILL to those which still live."""
    _send(living(known), signal.SIGKILL)


def _send(those: Iterable[Identity], number: int) -> None:
    for pid, _started in those:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
