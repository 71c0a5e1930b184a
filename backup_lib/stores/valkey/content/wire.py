"""Many commands at once over one connection, answers as the server gave them.

The client library's own pipelines take several times as long for the same, which a fingerprint
of millions of keys would feel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias

from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import NoPermissionError, ResponseError

from backup_lib.model import Target
from backup_lib.stores.valkey.address import raw_connection

Answer: TypeAlias = Any
"""Bytes, integers, None, and lists of them."""

_BUFFER = 1 << 17


class Wire:
    """Commands and answers of one connection (RESP 2).

    Args:
        connection: of the client library: connected, and without anything under way.
    """

    def __init__(self, connection: Any) -> None:  # noqa: ANN401  untyped in the library
        self._socket = connection._sock  # noqa: SLF001  the client has no other way to it
        self._answers: BinaryIO = self._socket.makefile("rb", _BUFFER)

    def ask(self, commands: Sequence[Sequence[Any]]) -> list[Answer]:
        """Send all of them, then read all answers.

        Raises:
            ResponseError: the server refuses one.
            ConnectionError, OSError: it broke off.
        """
        if not commands:
            return []
        self._socket.sendall(b"".join(_packed(command) for command in commands))
        return [self._read() for _ in commands]

    def close(self) -> None:
        """Let go of the buffer; the connection is its owner's."""
        self._answers.close()

    def _read(self) -> Answer:
        line = self._answers.readline()
        kind = line[:1]
        if kind == b"$":
            size = int(line[1:])
            return None if size < 0 else self._bytes(size)
        if kind == b":":
            return int(line[1:])
        if kind == b"*":
            size = int(line[1:])
            return None if size < 0 else [self._read() for _ in range(size)]
        if kind == b"+":
            return line[1:-2]
        if kind == b"-":
            said = line[1:-2].decode("utf-8", "replace")
            raise (NoPermissionError if said.startswith("NOPERM") else ResponseError)(said)
        raise ValkeyConnectionError("the server broke off")

    def _bytes(self, size: int) -> bytes:
        data = self._answers.read(size + 2)
        if len(data) != size + 2:
            raise ValkeyConnectionError("the server broke off")
        return data[:-2]


def _packed(command: Sequence[Any]) -> bytes:
    parts = [b"*%d\r\n" % len(command)]
    for word in command:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


@contextmanager
def wire(target: Target, database: int = 0) -> Iterator[Wire]:
    """A connection to one logical database.

    Raises:
        Unreachable: the server is away, refuses us or a command, or broke off.
    """
    with raw_connection(target, database) as connection:
        made = Wire(connection)
        try:
            yield made
        finally:
            made.close()
