"""Exact amounts of bytes out of a stream, and never more in memory than asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from restoreproof.errors import JudgedBad


class EndsTooEarly(JudgedBad):
    """Bytes end before their format does."""


def cut(where: str = "") -> EndsTooEarly:
    """The judgement over bytes that end before their format does."""
    return EndsTooEarly(
        f"it ends too early{f', {where}' if where else ''}",
        hint="it was cut: look for a full disk or a killed process when it was made",
    )


class ByteSource:
    """Exact amounts of bytes out of chunks of any size."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = iter(source)
        self._buffer = b""
        self._start = 0
        self.position = 0

    def peek(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer at the end; they are still to be taken."""
        self._fill(count)
        return self._buffer[self._start : self._start + count]

    def take(self, count: int, where: str = "") -> bytes:
        """The next ``count`` bytes. For small amounts.

        Raises:
            JudgedBad: there are fewer; ``where`` says in what.
        """
        data = self.peek(count)
        if len(data) < count:
            raise cut(where)
        self._advance(count)
        return data

    def pass_on(self, count: int, where: str = "") -> Iterator[bytes]:
        """The next ``count`` bytes in pieces, for any amount; must be exhausted.

        Raises:
            JudgedBad: there are fewer.
        """
        while count:
            if not self.peek(1):
                raise cut(where)
            piece = self._buffer[self._start : self._start + count]
            self._advance(len(piece))
            count -= len(piece)
            yield piece

    def skip(self, count: int, where: str = "") -> None:
        """Take ``count`` bytes and drop them.

        Raises:
            JudgedBad: there are fewer.
        """
        for _ in self.pass_on(count, where):
            pass

    def rest(self) -> Iterator[bytes]:
        """All that is left, in pieces."""
        while self.peek(1):
            piece = self._buffer[self._start :]
            self._advance(len(piece))
            yield piece

    def _advance(self, count: int) -> None:
        self._start += count
        self.position += count

    def _fill(self, count: int) -> None:
        missing = count - (len(self._buffer) - self._start)
        if missing <= 0:
            return
        parts = [self._buffer[self._start :]]
        while missing > 0 and (chunk := next(self._source, None)) is not None:
            parts.append(chunk)
            missing -= len(chunk)
        self._buffer = b"".join(parts)
        self._start = 0
