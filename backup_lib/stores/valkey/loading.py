"""Loading an RDB file into a disposable server while it streams, or an append-only file.

The server reads the file from a pipe in its own folder with ``DEBUG RELOAD NOSAVE``: nothing is
spooled, and a server that meets a bad file there says so and lives on (from a regular file it
would end). An append-only file is a folder in the server's own, which ``DEBUG LOADAOF`` loads; it
answers an error for damaged and for cut commands alike.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import valkey

from backup_lib.model import Target
from backup_lib.stores.valkey.address import SOCKET_PARAM, connect, raw_connection
from backup_lib.work import Work
from restoreproof.errors import RestoreproofError, Unreachable

RDB_NAME = "dump.rdb"
_TICK = 0.05
_ASK_AGAIN = 1.0


class NotLoaded(Exception):
    """The server refused the file."""


@contextmanager
def loading(target: Target, work: Work) -> Iterator[Callable[[bytes], None]]:
    """Load whatever is fed within the block; loaded when the block has ended without an error.

    Args:
        target: a disposable server of ours, whose folder holds its socket.
        work: cancellation and the deadline on progress.

    Yields:
        takes the next bytes of the file.

    Raises:
        NotLoaded: the server refused it.
        Unreachable: the server is away or stuck.
    """
    _expire_nothing(target)
    pipe = Path(target.params[SOCKET_PARAM]).parent / RDB_NAME
    os.mkfifo(pipe)
    pipe.chmod(0o644)  # the server runs as another user where we are root
    with ThreadPoolExecutor(1, thread_name_prefix="rdb-load") as pool:
        reload = _Reload(target, ("RELOAD", "NOSAVE"))
        feeder = _Feeder(pipe, pool.submit(reload.run), work)
        try:
            yield feeder.feed
            feeder.close()
            feeder.wait()
        finally:
            feeder.give_up()
            reload.give_up()


def load_log(target: Target, work: Work) -> None:
    """Load the append-only file in the server's folder.

    Args:
        target: a disposable server of ours, in whose folder the files lie.
        work: cancellation and the deadline on progress.

    Raises:
        NotLoaded: the server refused it.
        Unreachable: the server is away or stuck.
    """
    _expire_nothing(target)
    with ThreadPoolExecutor(1, thread_name_prefix="aof-load") as pool:
        reload = _Reload(target, ("LOADAOF",))
        running = pool.submit(reload.run)
        begun, seen = work.clock.monotonic(), -1
        try:
            while not running.done():
                work.cancel.check()
                with suppress(TimeoutError):
                    running.exception(_TICK)
                if running.done() or work.clock.monotonic() - begun < _ASK_AGAIN:
                    continue
                now = _loaded_bytes(target)
                if now != seen:
                    begun, seen = work.clock.monotonic(), now
                elif work.clock.monotonic() - begun > work.stall_timeout:
                    raise _stuck(work)
            running.result()
        finally:
            reload.give_up()


def _expire_nothing(target: Target) -> None:
    with connect(target) as client:
        client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")  # type: ignore[no-untyped-call]  # valkey-py leaves it untyped


def _loaded_bytes(target: Target) -> int:
    """How far a server is that loads, as it says; -1 where it does not answer."""
    try:
        with connect(target) as client:
            said: dict[str, Any] = client.info("persistence")  # type: ignore[assignment]  # as typed
            return int(said.get("loading_loaded_bytes", -1))
    except Unreachable:
        return -1


def _stuck(work: Work) -> Unreachable:
    return Unreachable(
        f"the disposable server took nothing for {work.stall_timeout:.0f} s",
        hint="is the machine short of memory?",
    )


class _Reload:
    """The command that loads the file; it answers only when all of it is loaded."""

    def __init__(self, target: Target, command: tuple[str, ...]) -> None:
        self._target = target
        self._command = command
        self._socket: socket.socket | None = None
        self._over = False

    def run(self) -> None:
        with raw_connection(self._target) as connection:
            self._socket = connection._sock  # noqa: SLF001  the client has no other way to it
            connection._sock.settimeout(None)  # noqa: SLF001  loading takes as long as it takes
            if self._over:
                return
            connection.send_command("DEBUG", *self._command)
            try:
                connection.read_response()
            except valkey.ResponseError as error:
                raise NotLoaded(str(error)) from None

    def give_up(self) -> None:
        """Wait no longer, whatever the server does."""
        self._over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Feeder:
    """Our end of the pipe."""

    def __init__(self, pipe: Path, reload: Future[None], work: Work) -> None:
        self._pipe = pipe
        self._reload = reload
        self._work = work
        self._end: int | None = None
        self._closed = False

    def feed(self, piece: bytes) -> None:
        """Hand on the next bytes; waits while the server is busy with those before."""
        if self._end is None:
            self._end = self._open()
        rest = memoryview(piece)
        begun = self._work.clock.monotonic()
        while rest:
            self._look(begun)
            if not select.select([], [self._end], [], _TICK)[1]:
                continue
            try:
                rest = rest[os.write(self._end, rest) :]
                begun = self._work.clock.monotonic()
            except BlockingIOError:
                continue
            except BrokenPipeError:
                self._reload.result()
                raise NotLoaded("it stopped reading before the end") from None

    def close(self) -> None:
        """Say that this was all."""
        if self._end is None and not self._closed:
            self._end = self._open()
        if self._end is not None:
            os.close(self._end)
            self._end = None
        self._closed = True

    def wait(self) -> None:
        """Wait until the server has loaded it."""
        begun = self._work.clock.monotonic()
        while not self._reload.done():
            self._look(begun)
            with suppress(TimeoutError):
                self._reload.exception(_TICK)
        self._reload.result()

    def give_up(self) -> None:
        """Let go of the server in whatever state it is; idempotent."""
        if self._end is not None:
            os.close(self._end)
            self._end = None
        if self._pipe.exists():
            # a server that waits for a writer is let go of: it finds the end of the file at once
            release = os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
            self._pipe.unlink()
            os.close(release)

    def _open(self) -> int:
        begun = self._work.clock.monotonic()
        while True:
            try:
                end = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads yet
                    raise
                self._look(begun)
                with suppress(TimeoutError, NotLoaded, RestoreproofError):
                    self._reload.result(_TICK)
                continue
            # the server opens its file a second time when it has loaded it, and would wait there
            self._pipe.unlink()
            return end

    def _look(self, begun: float) -> None:
        self._work.cancel.check()
        if self._reload.done():
            self._reload.result()
            if not self._closed:
                raise NotLoaded("it stopped reading before the end")
        elif self._work.clock.monotonic() - begun > self._work.stall_timeout:
            raise _stuck(self._work)
