"""Content for a Valkey server: every type of key, small and large, expiring and not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import valkey

FUNCTION = "#!lua name=prices\nserver.register_function('price', function(keys, args) return 1 end)"
HOUR = 3600
LARGE = 10_000


def command(client: valkey.Valkey, *words: Any) -> Any:  # noqa: ANN401  as the client has it
    return client.execute_command(*words)  # type: ignore[no-untyped-call]


def fill(client: valkey.Valkey) -> None:
    """Two logical databases with all that a server can hold, and a library of functions."""
    rng = random.Random(1)
    commands: Sequence[tuple[Any, ...]] = (
        ("SET", "string", "value"),
        ("SET", b"\x00\xff binary \r\n", b"\x80\x00\r\n"),
        ("SET", "", "the empty key"),
        ("SET", "empty value", ""),
        ("SET", "number", 12345),
        ("SET", "large string", rng.randbytes(3 * 1024 * 1024 + 7)),
        ("SET", "session", "of one day", "EX", 24 * HOUR),
        ("SET", "token", "of two hours", "EX", 2 * HOUR + 600),
        ("RPUSH", "list", "b", "a", "b", "", b"\xff"),
        ("RPUSH", "large list", *(f"{n:060}" for n in range(LARGE))),
        ("SADD", "set", "x", "y", ""),
        ("SADD", "numbers", 1, 2, 3),
        ("SADD", "large set", *(f"{n:060}" for n in range(LARGE))),
        ("HSET", "hash", "field", "value", "", "empty name", "raw", b"\x00\x01"),
        ("HSET", "large hash", *(f"{n:030}" for n in range(2 * LARGE))),
        ("HSET", "cache", "kept", 1, "day", 2, "hours", 3),
        ("HPEXPIRE", "cache", 24 * HOUR * 1000, "FIELDS", 1, "day"),
        ("HPEXPIRE", "cache", 3 * HOUR * 1000, "FIELDS", 1, "hours"),
        ("HSET", "only for a while", "a", 1),
        ("HPEXPIRE", "only for a while", 5 * HOUR * 1000, "FIELDS", 1, "a"),
        ("ZADD", "scores", "0.1", "tenth", "-inf", "least", "inf", "most", "3", "three"),
        ("ZADD", "exact", "0.30000000000000004", "a", "1e300", "b", "-0", "c"),
        ("ZADD", "large scores", *_scores()),
        ("XADD", "stream", "1-1", "a", 1),
        ("XADD", "stream", "1-2", "b", 2, "c", b"\xfe"),
        ("XADD", "stream", "2-1", "d", 4),
        ("XDEL", "stream", "1-2"),
        ("XGROUP", "CREATE", "stream", "workers", "0"),
        ("XGROUP", "CREATE", "stream", "idle", "$"),
        ("XREADGROUP", "GROUP", "workers", "one", "COUNT", 1, "STREAMS", "stream", ">"),
        ("XADD", "emptied", "1-1", "a", 1),
        ("XDEL", "emptied", "1-1"),
        ("PFADD", "visitors", "a", "b", "c"),
        ("GEOADD", "places", "13.36", "38.11", "Palermo"),
        ("SETBIT", "bits", 1000, 1),
        ("FUNCTION", "LOAD", FUNCTION),
        (
            "ACL",
            "SETUSER",
            "reader",
            "reset",
            "on",
            ">secret-of-reader",
            "~cache:*",
            "+@read",
            "(+get ~x)",
        ),
        ("SELECT", 3),
        ("SET", "string", "in another database"),
        ("SELECT", 0),
    )
    with client.pipeline(transaction=False) as pipe:
        for words in commands:
            pipe.execute_command(*words)  # type: ignore[no-untyped-call]
        pipe.execute()  # type: ignore[no-untyped-call]
    for at in range(0, LARGE, 500):
        with client.pipeline(transaction=False) as pipe:
            for n in range(at, at + 500):
                pipe.execute_command("XADD", "large stream", f"{n + 1}-0", "field", f"{n:040}")  # type: ignore[no-untyped-call]
            pipe.execute()  # type: ignore[no-untyped-call]
    command(client, "XGROUP", "CREATE", "large stream", "readers", "0")
    command(
        client, "XREADGROUP", "GROUP", "readers", "r", "COUNT", 20, "STREAMS", "large stream", ">"
    )


def _scores() -> list[Any]:
    return [part for n in range(LARGE) for part in (n / 7, f"{n:060}")]
