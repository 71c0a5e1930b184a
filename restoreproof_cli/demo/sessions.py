"""Sessions and caches of a booking site, as a Valkey server has them: most of them expire."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import valkey

SESSIONS = 5000
STATUS = "status:UA1545"
"""The key that the story alters; its value is short, so it stands in the file as it is."""
ON_TIME, CANCELLED = "on time", "delayed"

_HOUR = 3600
_BATCH = 1000


def load(client: valkey.Valkey) -> int:
    """Fill the server; the number of sessions.

    Sessions last from two hours to two days, tokens a second: those have expired before anybody
    can look.
    """
    for first in range(0, SESSIONS, _BATCH):
        with client.pipeline(transaction=False) as pipe:
            for n in range(first, first + _BATCH):
                key = f"session:{n:06}"
                pipe.hset(key, mapping={"passenger": f"passenger {n}", "seat": f"{n % 40}C"})
                pipe.expire(key, (2 + n % 46) * _HOUR)
            pipe.execute()  # type: ignore[no-untyped-call]  # untyped in the library
    with client.pipeline(transaction=False) as pipe:
        pipe.set(STATUS, ON_TIME)
        for n in range(100):
            pipe.set(f"token:{n}", "once", px=1000)
        pipe.rpush("boarding", *(f"passenger {n}" for n in range(300)))
        pipe.zadd("delays", {f"UA{n}": n / 7 for n in range(200)})
        pipe.xadd("departures", {"flight": "UA1545", "gate": "C101"})
        pipe.xgroup_create("departures", "boards", "0")
        pipe.execute()  # type: ignore[no-untyped-call]  # untyped in the library
    return SESSIONS
