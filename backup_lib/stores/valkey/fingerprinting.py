"""The private server that what a source sends is loaded into, to be fingerprinted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_lib.model import NotCovered, Target
from backup_lib.stores.valkey import facts, needs
from backup_lib.stores.valkey.address import connect
from backup_lib.stores.valkey.loading import NotLoaded
from backup_lib.stores.valkey.private import PrivateServers
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad


def servers_for(info: facts.Info, programs: Path | None) -> PrivateServers:
    """Private servers that load what that source sends, found before it pays for anything.

    Raises:
        Inconclusive: there is none.
    """
    servers = PrivateServers(lambda offers: needs.loads_from(info, offers), programs)
    try:
        offers = servers.offers()
    except Inconclusive as missing:
        raise Inconclusive(
            f"the content cannot be fingerprinted: {missing.message}",
            hint=f"{missing.hint}; or set fingerprint = false, and nothing is proven equal",
        ) from None
    if not needs.loads_from(info, offers):
        raise Inconclusive(
            f"{offers.product} {offers.version} of this machine cannot load what "
            f"{info.product} {info.version} sends, so its content cannot be fingerprinted",
            hint="name a newer valkey-server with programs = …, or set fingerprint = false, "
            "and nothing is proven equal",
        )
    return servers


@contextmanager
def private_server(servers: PrivateServers, info: facts.Info, work: Work) -> Iterator[Target]:
    """One of them, for the length of the block.

    Raises:
        Inconclusive: it did not start, or does not load what the source sent.
    """
    try:
        with servers.start(work) as private:
            yield private
    except (NotLoaded, JudgedBad) as refusal:
        modules = f" (it has the modules {', '.join(info.modules)})" if info.modules else ""
        raise Inconclusive(
            f"a server of our own does not load what the source sent{modules}: {refusal}",
            hint="nothing was stored; with fingerprint = false it can be, and is not proven",
        ) from None


def expired(private: Target) -> tuple[NotCovered, ...]:
    """The keys that were sent, and had expired when they were loaded."""
    with connect(private) as client:
        count = facts.read(client).expired_while_loading
    if not count:
        return ()
    return (NotCovered("keys", "expired during the backup", f"{count} keys expired, not provable"),)
