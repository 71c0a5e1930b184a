"""A proxy that hands on a server's answers up to a number of bytes, then cuts or falls silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select

_TICK = 0.05


@contextmanager
def cutting_proxy(target: int, *, after: int, silent: bool = False) -> Iterator[int]:
    """The port of a proxy to the loopback port ``target``.

    Args:
        after: bytes of the server's answers, on one connection, that come through.
        silent: keep the connection open afterwards instead of cutting it.
    """
    over = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not over.is_set():
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=_relay, args=(client, target, after, silent, over))
                thread.start()
                threads.append(thread)

        acceptor = threading.Thread(target=serve)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def _relay(
    client: socket.socket, target: int, after: int, silent: bool, over: threading.Event
) -> None:
    with client, suppress(OSError), socket.create_connection(("127.0.0.1", target)) as server:
        while not over.is_set():
            for source in select([client, server], [], [], _TICK)[0]:
                if source is client:
                    data = client.recv(65536)
                    server.sendall(data)
                else:
                    data = server.recv(65536)
                    client.sendall(data[:after])
                    after -= min(after, len(data))
                    if not after and silent:
                        over.wait()
                    if not after:
                        return
                if not data:
                    return
