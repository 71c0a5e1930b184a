"""Valkey: what a fingerprint costs beside a bare SCAN with the same client.

Run from the project's folder: ``python -m benchmarks.valkey_fingerprint [KEYS] [ROUNDS]``.
Both take turns within one run, so that whatever else the machine does hits both. Prints one JSON
document: seconds, each the median of the rounds, keys a second, and the ratio.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from datetime import UTC, datetime

from backup_lib.model import Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.content import take
from backup_lib.stores.valkey.server import ValkeyRecipe
from backup_lib.work import Work

_BATCH = 2000


def fill(target: Target, keys: int) -> None:
    """Strings of 100 bytes, and one small hash for every four of them."""
    rng = random.Random(1)
    with connect(target) as client:
        for first in range(0, keys, _BATCH):
            with client.pipeline(transaction=False) as pipe:
                for n in range(first, min(first + _BATCH, keys)):
                    if n % 5:
                        pipe.set(f"string:{n}", rng.randbytes(100), ex=86_400 if n % 2 else None)
                    else:
                        pipe.hset(f"hash:{n}", mapping={"user": n, "token": rng.randbytes(16)})
                pipe.execute()  # type: ignore[no-untyped-call]  # untyped in the library


def scan(target: Target) -> float:
    """Seconds of a bare SCAN over all keys."""
    begun = time.perf_counter()
    with connect(target) as client:
        for _ in client.scan_iter(count=1000):
            pass
    return time.perf_counter() - begun


def fingerprint(target: Target) -> float:
    """Seconds of a fingerprint."""
    begun = time.perf_counter()
    take(target, datetime.now(UTC), Work())
    return time.perf_counter() - begun


def main(keys: int = 200_000, rounds: int = 3) -> None:
    with ProcessSandbox().start(ValkeyRecipe(), Work()) as server:
        fill(server.target, keys)
        pairs = [(scan(server.target), fingerprint(server.target)) for _ in range(rounds)]
    scans, fingerprints = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        json.dumps(
            {
                "keys": keys,
                "rounds": rounds,
                "valkey": server.facts.version,
                "scan_seconds": round(scans, 3),
                "fingerprint_seconds": round(fingerprints, 3),
                "scan_keys_per_second": round(keys / scans),
                "fingerprint_keys_per_second": round(keys / fingerprints),
                "ratio": round(fingerprints / scans, 2),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
