"""How long a server keeps other clients waiting: a client that does nothing but ask.

Run beside what is measured: ``python -m benchmarks.pinging SOCKET``. It says ``ready``, asks until
its standard input ends, and then prints how long the longest answer took, in seconds.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PAUSE = 0.0005
"""Seconds between an answer and the next question."""
_PING, _PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"


def longest_while(path: Path, work: Callable[[], object]) -> float:
    """The longest answer to a client of its own process, in seconds, while ``work`` is done.

    Args:
        path: Unix socket of the server.
        work: what is measured.

    Raises:
        SystemExit: the server answered something else, or not at all.
    """
    argv = [sys.executable, "-m", "benchmarks.pinging", str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        try:
            if client.stdout.readline() != b"ready\n":
                raise SystemExit("the server does not answer the pinging client")
            work()
        finally:
            client.stdin.close()
            said = client.stdout.read()
    if client.returncode:
        raise SystemExit("the pinging client broke off")
    return float(said)


def main(path: str) -> None:
    longest = 0.0
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        _ask(server)  # the first one pays for the connection
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            longest = max(longest, _ask(server))
        longest = max(longest, _ask(server))  # it was not asked yet since the work's last moment
    print(longest)


def _ask(server: socket.socket) -> float:
    begun = time.perf_counter()
    server.sendall(_PING)
    answer = b""
    while len(answer) < len(_PONG):
        piece = server.recv(len(_PONG) - len(answer))
        if not piece:
            break
        answer += piece
    if answer != _PONG:
        raise SystemExit(f"the server answered {answer!r}")
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(sys.argv[1])
