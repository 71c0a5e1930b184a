"""Reading the keys of one logical database: small ones many at a time, large ones in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from backup_lib.stores.valkey.content.sums import FIELDS, Sum, Tally, digest, noun
from backup_lib.stores.valkey.content.values import (
    ListDigest,
    StringDigest,
    add_fields,
    add_members,
    add_scores,
    as_mapping,
    pairs,
    stream_about,
    stream_entries,
)
from backup_lib.stores.valkey.content.wire import Answer, Wire
from restoreproof.errors import Inconclusive, Unreachable

_SMALL = 64 * 1024
"""Bytes of memory up to which a key is read with one command."""
_AT_ONCE = 4 * 1024 * 1024
"""Bytes of memory of the keys that are read together."""
_PIECE = 1024 * 1024
_MOST_MEMBERS = 5000
_NEVER = -1
_GONE = -2

_WHOLE: dict[bytes, tuple[tuple[str, ...], tuple[str, ...]]] = {
    b"string": (("GET",), ()),
    b"list": (("LRANGE",), ("0", "-1")),
    b"set": (("SMEMBERS",), ()),
    b"hash": (("HGETALL",), ()),
    b"zset": (("ZRANGE",), ("0", "-1", "WITHSCORES")),
    b"stream": (("XINFO", "STREAM"), ("FULL", "COUNT", "0")),
}
_SIZES = {b"list": "LLEN", b"set": "SCARD", b"hash": "HLEN", b"zset": "ZCARD", b"stream": "XLEN"}
_SCANS = {b"set": "SSCAN", b"hash": "HSCAN", b"zset": "ZSCAN"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its name, type, moment of expiry (milliseconds, -1 for never) and size."""

    name: bytes
    kind: bytes
    expires: int
    memory: int


class Reader:
    """Reads keys of one logical database into a tally.

    Args:
        wire: a connection to that database.
        database: its number.
        volatile: whether it has hash fields that expire.
        times: whether it is of account when consumers of streams were seen and active.
        tally: takes the digests.
    """

    def __init__(
        self, wire: Wire, database: int, *, volatile: bool, times: bool, tally: Tally
    ) -> None:
        self._ask = wire.ask
        self._database = database
        self._volatile = volatile
        self._times = times
        self._tally = tally

    def add(self, names: Sequence[bytes]) -> None:
        """Read these keys; one that has expired meanwhile is passed over."""
        small: list[Key] = []
        memory = 0
        for key in self._looked_at(names):
            if key.memory > _SMALL:
                self._add_large(key)
                continue
            small.append(key)
            memory += key.memory
            if memory > _AT_ONCE:
                self._add_small(small)
                small, memory = [], 0
        self._add_small(small)

    def _looked_at(self, names: Sequence[bytes]) -> Iterator[Key]:
        commands = [
            command
            for name in names
            for command in (("TYPE", name), ("PEXPIRETIME", name), ("MEMORY", "USAGE", name))
        ]
        said = self._ask(commands)
        for at, name in enumerate(names):
            kind, expires, memory = said[3 * at : 3 * at + 3]
            if kind == b"none" or expires == _GONE or memory is None:
                continue
            if kind not in _WHOLE:
                raise Inconclusive(
                    f"the key {name[:60]!r} is of the type {kind.decode()}, unknown here",
                    hint="data of modules cannot be fingerprinted: set fingerprint = false",
                )
            yield Key(name, kind, expires, memory)

    def _add_small(self, keys: Sequence[Key]) -> None:
        said = self._ask([(*_WHOLE[key.kind][0], key.name, *_WHOLE[key.kind][1]) for key in keys])
        for key, answer in zip(keys, said, strict=True):
            if answer is None or (answer == [] and key.kind != b"stream"):
                continue  # expired since: no type but the stream has empty values
            if key.kind == b"hash":
                self._add_hash(key, [list(pairs(answer))])
            else:
                self._put(key, _whole(key.kind, answer, times=self._times))

    def _put(self, key: Key, value: bytes) -> None:
        one = digest(b"%d" % self._database, key.kind, key.name, b"%d" % key.expires, value)
        self._tally.add(self._database, noun(key.kind), key.expires, one)

    def _add_hash(self, key: Key, pieces: Iterable[list[tuple[bytes, bytes]]]) -> int:
        """Fields that expire are items of their own; the number of fields that were there."""
        total = Sum()
        seen = 0
        for fields in pieces:
            seen += len(fields)
            lasting = list(self._without_volatile(key, fields)) if self._volatile else fields
            add_fields(total, lasting)
        if total.count:
            self._put(key, digest(total.digest, b"%d" % total.count))
        return seen

    def _without_volatile(
        self, key: Key, fields: list[tuple[bytes, bytes]]
    ) -> Iterator[tuple[bytes, bytes]]:
        names = [name for name, _ in fields]
        (expiries,) = self._ask([("HPEXPIRETIME", key.name, "FIELDS", len(names), *names)])
        for (name, value), expires in zip(fields, expiries or (), strict=True):
            if expires == _NEVER:
                yield name, value
            elif expires != _GONE:
                sooner = min(expires, key.expires) if key.expires >= 0 else expires
                one = digest(
                    *(b"%d" % self._database, key.name, b"%d" % key.expires),
                    *(name, value, b"%d" % expires),
                )
                self._tally.add(self._database, FIELDS, sooner, one)

    def _add_large(self, key: Key) -> None:
        if key.kind == b"string":
            return self._put(key, self._large_string(key))
        (size,) = self._ask([(_SIZES[key.kind], key.name)])
        members = max(1, min(_MOST_MEMBERS, _PIECE * max(1, size) // key.memory))
        if key.kind == b"list":
            self._put(key, self._large_list(key, size, members))
        elif key.kind == b"stream":
            self._put(key, self._large_stream(key, members))
        elif key.kind == b"hash":
            pieces = self._scanned(key, members)
            seen = self._add_hash(key, (list(pairs(piece)) for piece in pieces))
            _same(key, seen, size, volatile=self._volatile)
        else:
            total = Sum()
            for piece in self._scanned(key, members):
                (add_scores if key.kind == b"zset" else add_members)(total, piece)
            _same(key, total.count, size, volatile=False)
            self._put(key, digest(total.digest, b"%d" % total.count))
        return None

    def _large_string(self, key: Key) -> bytes:
        (size,) = self._ask([("STRLEN", key.name)])
        hashed = StringDigest()
        for at in range(0, size, _PIECE):
            hashed.add(self._ask([("GETRANGE", key.name, at, at + _PIECE - 1)])[0])
        return hashed.digest

    def _large_list(self, key: Key, size: int, members: int) -> bytes:
        hashed = ListDigest()
        for at in range(0, size, members):
            hashed.add(self._ask([("LRANGE", key.name, at, at + members - 1)])[0])
        return hashed.digest

    def _large_stream(self, key: Key, members: int) -> bytes:
        """Entries in pieces; what is pending is read whole."""
        (groups,) = self._ask([("XINFO", "GROUPS", key.name)])
        pending = max((as_mapping(group)[b"pending"] for group in groups), default=0)
        (full,) = self._ask([("XINFO", "STREAM", key.name, "FULL", "COUNT", max(1, pending))])
        hashed = ListDigest()
        start = b"-"
        while True:
            (entries,) = self._ask([("XRANGE", key.name, start, "+", "COUNT", members)])
            if not entries:
                return digest(hashed.digest, stream_about(as_mapping(full), times=self._times))
            stream_entries(hashed, entries)
            start = b"(" + entries[-1][0]

    def _scanned(self, key: Key, members: int) -> Iterator[Sequence[bytes]]:
        cursor: bytes | int = 0
        while True:
            ((cursor, piece),) = self._ask([(_SCANS[key.kind], key.name, cursor, "COUNT", members)])
            if piece:
                yield piece
            if int(cursor) == 0:
                return


def _whole(kind: bytes, answer: Answer, *, times: bool) -> bytes:
    """The digest of a value that was read with one command; the same as in pieces."""
    if kind == b"string":
        hashed = StringDigest()
        hashed.add(answer)
        return hashed.digest
    elements = ListDigest()
    if kind == b"list":
        elements.add(answer)
        return elements.digest
    if kind == b"stream":
        full = as_mapping(answer)
        stream_entries(elements, full[b"entries"])
        return digest(elements.digest, stream_about(full, times=times))
    total = Sum()
    (add_scores if kind == b"zset" else add_members)(total, answer)
    return digest(total.digest, b"%d" % total.count)


def _same(key: Key, seen: int, size: int, *, volatile: bool) -> None:
    """A scan may give a member twice while the server resizes its tables; a sum must not."""
    if seen > size or (seen < size and not volatile):
        raise Unreachable(
            f"the key {key.name[:60]!r} changed while it was read",
            hint="nothing may write to the copy while it is compared",
        )
