"""What a backup needs from the server that it is restored into."""

from __future__ import annotations

from backup_lib.model import Gap, Need, ServerFacts, StoreRecord
from backup_lib.stores.valkey.facts import VALKEY, Info, release
from backup_lib.stores.valkey.rdb import least_server
from restoreproof.errors import extra_hint

SERVER = "server"


def needs(magic: bytes, info: Info) -> tuple[Need, ...]:
    """Of an RDB file with that header, written by that server."""
    return of_file(magic, info.version)


def of_file(magic: bytes, version: str) -> tuple[Need, ...]:
    """The same of a file alone; ``version`` of its writer, empty where it does not tell."""
    why = f"an RDB file of the format {magic.decode('ascii', 'replace')}"
    least = least_server(magic, version)
    return (Need(SERVER, least, why),) if least else ()


def of_log(info: Info) -> tuple[Need, ...]:
    """Of an append-only file: its commands are those of the server's own version."""
    least = ".".join(map(str, info.release)) if info.product == VALKEY else "7.2"
    return (Need(SERVER, least, f"an append-only file of {info.product} {info.version}"),)


def gaps(record: StoreRecord, offers: ServerFacts) -> tuple[Gap, ...]:
    """The needs that a server does not meet, each with what closes it."""
    return tuple(
        Gap(
            need,
            f"{need.why} is not loaded by {offers.product} {offers.version}",
            hint=f"use Valkey {need.value} or newer: {extra_hint('embedded')}, "
            "or name a folder of programs",
        )
        for need in record.backup.needs
        if need.feature == SERVER
        and (offers.product != VALKEY or release(offers.version) < release(need.value))
    )


def loads_from(info: Info, offers: ServerFacts) -> bool:
    """Whether a server surely loads what that source will send."""
    least = info.release if info.product == VALKEY and info.release >= (9, 0) else (7, 2)
    return offers.product == VALKEY and release(offers.version) >= least
