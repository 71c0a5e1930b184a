"""Order-independent sums of digests, by database, type and time of expiry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from backup_lib.model import Item

SIZE = 32
MODULUS = 1 << (8 * SIZE)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HOURLY = timedelta(days=7)
"""Up to so long after the backup expiry is told apart by the hour, later by the day."""

_NOUNS = {
    b"string": "strings",
    b"list": "lists",
    b"set": "sets",
    b"zset": "sorted sets",
    b"hash": "hashes",
    b"stream": "streams",
}
FIELDS = "hash fields"


def digest(*parts: bytes) -> bytes:
    """SHA-256 over the parts, each with its length before it."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(b"%d:" % len(part))
        hashed.update(part)
    return hashed.digest()


def noun(kind: bytes) -> str:
    """What keys of a type are called, as the kind of an item."""
    return _NOUNS.get(kind, kind.decode("utf-8", "backslashreplace"))


class Sum:
    """The sum of digests modulo 2^256, and how many there were."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.total = 0
        self.count = 0

    def add(self, one: bytes) -> None:
        """Take one digest."""
        self.total = (self.total + int.from_bytes(one, "big")) % MODULUS
        self.count += 1

    @property
    def digest(self) -> bytes:
        """The sum as bytes."""
        return self.total.to_bytes(SIZE, "big")


@dataclass(slots=True)
class Tally:
    """All sums of one server.

    Attributes:
        moment: of the backup: the width of a bucket of expiry depends on it, and on nothing else.
    """

    moment: datetime
    _sums: dict[tuple[int, str, int], Sum] = field(default_factory=dict)

    def add(self, database: int, kind: str, expires_ms: int, one: bytes) -> None:
        """Take the digest of one key or field; ``expires_ms`` is negative where it never does."""
        bucket = self._bucket(expires_ms) if expires_ms >= 0 else -1
        self._sums.setdefault((database, kind, bucket), Sum()).add(one)

    def items(self) -> Iterator[Item]:
        """One item for each database, type and bucket."""
        for (database, kind, bucket), found in self._sums.items():
            expires = None if bucket < 0 else datetime.fromtimestamp(bucket / 1000, UTC)
            when = f", expiring from {expires:%Y-%m-%dT%H:%MZ}" if expires else ""
            yield Item(
                kind, f"db{database}{when}", found.digest.hex(), found.count, expires=expires
            )

    def _bucket(self, expires_ms: int) -> int:
        hourly = (self.moment + HOURLY).timestamp() * 1000
        width = HOUR_MS if expires_ms < hourly else DAY_MS
        latest = 253_402_214_400_000  # datetime ends with the year 9999
        return min(expires_ms - expires_ms % width, latest)
