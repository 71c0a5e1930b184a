"""The canonical digest of each type of value.

A value is read whole where it is small and piece by piece where it is large, with the same digest:
sets, hashes and sorted sets are sums over their members, in whatever order they come.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from backup_lib.stores.valkey.content.sums import Sum, digest
from backup_lib.stores.valkey.content.wire import Answer


class StringDigest:
    """Of a string: its bytes, in pieces."""

    def __init__(self) -> None:
        self._hashed = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self._hashed.update(piece)

    @property
    def digest(self) -> bytes:
        return self._hashed.digest()


class ListDigest:
    """Of a list: its elements in order."""

    def __init__(self) -> None:
        self._hashed = hashlib.sha256()

    def add(self, elements: Iterable[bytes]) -> None:
        for element in elements:
            self._hashed.update(b"%d:" % len(element))
            self._hashed.update(element)

    @property
    def digest(self) -> bytes:
        return self._hashed.digest()


def add_members(total: Sum, members: Iterable[bytes]) -> None:
    """The members of a set."""
    for member in members:
        total.add(digest(member))


def add_scores(total: Sum, answer: Sequence[bytes]) -> None:
    """Members of a sorted set, each followed by its score; compared as the double that it is."""
    for member, score in pairs(answer):
        total.add(digest(member, struct.pack(">d", float(score))))


_ABOUT_CONSUMER = (b"name", b"seen-time", b"active-time", b"pel-count")


def add_fields(total: Sum, fields: Iterable[tuple[bytes, bytes]]) -> None:
    """Fields of a hash that never expire by themselves."""
    for name, value in fields:
        total.add(digest(name, value))


def pairs(answer: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """``a b c d`` as ``(a, b) (c, d)``."""
    return zip(answer[::2], answer[1::2], strict=True)


def as_mapping(answer: Sequence[Answer]) -> Mapping[bytes, Answer]:
    """The server's flat lists of names and values."""
    return dict(pairs(answer))


def stream_entries(hashed: ListDigest, entries: Iterable[Sequence[Answer]]) -> None:
    """Entries of a stream, in order: id, then the number of its texts, then each of them."""
    for identity, fields in entries:
        hashed.add((identity, b"%d" % len(fields), *fields))


def stream_about(full: Mapping[bytes, Answer], *, times: bool = True) -> bytes:
    """All of a stream but its entries: counters, groups, what is pending, consumers.

    Args:
        full: the answer of ``XINFO STREAM KEY FULL``.
        times: when consumers were seen and active too.
    """
    hashed = ListDigest()
    for name in (b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added"):
        hashed.add((name, _text(full.get(name))))
    groups = sorted((as_mapping(g) for g in full.get(b"groups", ())), key=lambda g: g[b"name"])
    hashed.add((b"groups", b"%d" % len(groups)))
    for group in groups:
        for name in (b"name", b"last-delivered-id", b"entries-read", b"pel-count"):
            hashed.add((name, _text(group.get(name))))
        for pending in group.get(b"pending", group.get(b"pel", ())):
            hashed.add(_text(part) for part in pending)
        consumers = sorted(
            (as_mapping(c) for c in group.get(b"consumers", ())), key=lambda c: c[b"name"]
        )
        hashed.add((b"consumers", b"%d" % len(consumers)))
        for consumer in consumers:
            for name in _ABOUT_CONSUMER if times else (b"name", b"pel-count"):
                hashed.add((name, _text(consumer.get(name))))
            for pending in consumer.get(b"pending", consumer.get(b"pel", ())):
                hashed.add(_text(part) for part in pending)
    return hashed.digest


def _text(value: Answer) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else b"%d" % value
