"""Into a live server: loaded in a disposable one first, then key by key, as ``DUMP`` gives it.

Commands reach the target's own append-only file and its replicas; an RDB file that is put in
place would not, where ``appendonly yes`` is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import valkey

from backup_lib.model import ServerFacts, Target
from backup_lib.stores.base import ArtifactSource, Restored, RestoreOptions
from backup_lib.stores.valkey import facts, needs, users
from backup_lib.stores.valkey.address import connect, place_of
from backup_lib.stores.valkey.disposable import into_sandbox, restore_users
from backup_lib.stores.valkey.private import PrivateServers
from backup_lib.stores.valkey.written import Written, noting
from backup_lib.work import Work
from restoreproof.errors import Refused, Unreachable
from restoreproof.events import step

_BATCH = 500
_AT_ONCE = 8 * 1024 * 1024
_NEVER = -1
_LACKING = ("unknown command", "DB index is out of range")


def into_server(
    source: ArtifactSource, target: Target, options: RestoreOptions, work: Work
) -> Restored:
    """Restore all keys and functions.

    Raises:
        Refused: the target holds data and ``overwrite`` is not set, or is a cluster or a replica,
            or would not take what is to replace its data.
        JudgedBad: the backup does not load; the target was not touched.
        Unreachable: the target broke off; keys written into an empty one were removed again.
    """
    with connect(target) as client:
        info = facts.read(client)
        _refuse_unfit(info, place_of(target))
        _refuse_data(client, info, target, options)
        if options.globals:
            users.require(client)  # before anything is written
    servers = PrivateServers(
        lambda offers: not needs.gaps(source.record, offers) and _not_newer(offers, info), None
    )
    _refuse_newer(servers.offers(), info, place_of(target))
    with servers.start(work) as private:
        into_sandbox(source, private, RestoreOptions(), work)
        if options.overwrite and options.check:
            # the users of a server that is kept stay as they are, and are not made here either
            options.check(replace(private, disposable=False))
        notes = _copy(private, target, options, work)
    if options.globals:
        notes = (*notes, *restore_users(source, target))
    return Restored(target, notes=notes)


def _not_newer(offers: ServerFacts, info: facts.Info) -> bool:
    """What ``DUMP`` writes is of the server's own version: the target must be as new."""
    same_format = facts.release(offers.version) < (9, 0) and info.release >= (7, 2)
    return same_format or (
        info.product == facts.VALKEY and facts.release(offers.version)[0] <= info.release[0]
    )


def _refuse_newer(offers: ServerFacts, info: facts.Info, place: str) -> None:
    if not _not_newer(offers, info):
        raise Refused(
            f"{place} is {info.product} {info.version}, older than the {offers.product} "
            f"{offers.version} of this machine that would hand the keys over",
            hint="put a valkey-server of the target's version on PATH, or restore by hand "
            "(runbook)",
        )


def _refuse_unfit(info: facts.Info, place: str) -> None:
    if info.cluster:
        raise Refused(
            f"{place} is one shard of a cluster", hint="restore into a server that is none"
        )
    if info.replica:
        raise Refused(f"{place} is a replica and takes no writes", hint="name its primary")


def _refuse_data(
    client: valkey.Valkey, info: facts.Info, target: Target, options: RestoreOptions
) -> None:
    if options.overwrite:
        return
    keys = sum(info.databases.values())
    libraries = len(client.function_list())  # type: ignore[arg-type]
    if keys or libraries:
        raise Refused(
            f"{place_of(target)} holds {keys} keys and {libraries} libraries of functions",
            hint="restore into an empty server, or replace all of it with --overwrite "
            f"--confirm {place_of(target)}",
        )


def _copy(private: Target, target: Target, options: RestoreOptions, work: Work) -> tuple[str, ...]:
    with connect(private) as client:
        databases = facts.read(client).databases
    if options.overwrite:
        _refuse_unwritable(private, target, tuple(databases), work)
        with connect(target, patient=True) as client:
            client.flushall()
            client.function_flush()
    with (
        noting(work.scratch) as written,
        step(
            work.emit, "copy", "writing the keys", total=sum(databases.values()), unit="items"
        ) as telling,
    ):
        try:
            for database in databases:
                for names in _names(private, database, work):
                    _hand_over(private, target, database, names, written)
                    telling.advance(len(names))
            _functions(private, target)
        except _WrittenByOthers:
            raise
        except BaseException:
            _undo(target, written)
            raise
    return ()


def _refuse_unwritable(
    private: Target, target: Target, databases: Sequence[int], work: Work
) -> None:
    """Find out whether the target takes keys and functions, before what it holds is removed.

    It is handed what it cannot but refuse: the words tell whether it would have taken more.

    Raises:
        Refused: it would not, or has not got one of the databases.
    """
    for database in databases:
        name = next(_names(private, database, work), [b""])[0]
        _try(target, database, "RESTORE", name, 0, b"")
    with connect(private) as client:
        libraries = client.function_list()
    if libraries:
        _try(target, 0, "FUNCTION", "RESTORE", b"")


def _try(target: Target, database: int, *command: bytes | str | int) -> None:
    with connect(target, database) as client:
        try:
            client.execute_command(*command)  # type: ignore[no-untyped-call]  # valkey-py leaves it untyped
        except valkey.ResponseError as error:
            said = str(error)
            lacking = any(words in said for words in _LACKING)
            if lacking or isinstance(error, valkey.exceptions.NoPermissionError):
                raise Refused(
                    f"{place_of(target)} would take no {command[0]!s} into db{database}: "
                    f"{said[:100]}",
                    hint="grant the user of the target what the runbook names, give it as many "
                    "databases, or take the rename-command away; it was left as it is",
                ) from None


def _names(private: Target, database: int, work: Work) -> Iterator[Sequence[bytes]]:
    """All keys, as many at a time as their memory allows."""
    with connect(private, database) as client:
        client.response_callbacks.clear()
        cursor = 0
        while True:
            work.cancel.check()
            following, names = client.execute_command("SCAN", cursor, "COUNT", _BATCH)  # type: ignore[no-untyped-call]
            with client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.execute_command("MEMORY", "USAGE", name)  # type: ignore[no-untyped-call]
                sizes = pipe.execute()  # type: ignore[no-untyped-call]
            batch: list[bytes] = []
            memory = 0
            for name, size in zip(names, sizes, strict=True):
                batch.append(name)
                memory += size or 0
                if memory > _AT_ONCE:
                    yield batch
                    batch, memory = [], 0
            if batch:
                yield batch
            cursor = int(following)
            if cursor == 0:
                return


def _hand_over(
    private: Target, target: Target, database: int, names: Sequence[bytes], written: Written
) -> None:
    with connect(private, database) as client:
        client.response_callbacks.clear()
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.execute_command("PEXPIRETIME", name)  # type: ignore[no-untyped-call]
                pipe.execute_command("DUMP", name)  # type: ignore[no-untyped-call]
            said = pipe.execute()  # type: ignore[no-untyped-call]
    sent = [(name, said[2 * at], said[2 * at + 1]) for at, name in enumerate(names)]
    sent = [one for one in sent if one[2] is not None]  # expired meanwhile
    with (
        connect(target, database, patient=True) as client,
        client.pipeline(transaction=False) as pipe,
    ):
        for name, expires, dumped in sent:
            when = 0 if expires == _NEVER else expires
            pipe.execute_command("RESTORE", name, when, dumped, "ABSTTL")  # type: ignore[no-untyped-call]
        mark = written.mark()
        written.note(database, [name for name, _, _ in sent])
        answers = pipe.execute(raise_on_error=False)  # type: ignore[no-untyped-call]
    errors = [answer for answer in answers if isinstance(answer, valkey.ResponseError)]
    if errors:
        taken = zip(sent, answers, strict=True)
        written.back_to(mark)
        written.note(
            database, [one[0] for one, said in taken if not isinstance(said, valkey.ResponseError)]
        )
        raise _not_written(errors[0], target)


class _WrittenByOthers(Unreachable):
    """A key that we did not write is in the way: whose it is cannot be told, so it stays."""


def _not_written(error: valkey.ResponseError, target: Target) -> Unreachable:
    if str(error).startswith("BUSYKEY"):
        return _WrittenByOthers(
            f"somebody else writes to {place_of(target)} while it is restored",
            hint="what was restored so far is in it: stop the writers, and run it again with "
            "--overwrite",
        )
    return Unreachable(
        f"{place_of(target)} refused a key: {str(error)[:100]}",
        hint="check maxmemory, the rights of the user (+restore) and that the target is no replica",
    )


def _functions(private: Target, target: Target) -> None:
    with connect(private) as client:
        if not client.function_list():
            return
        dumped = client.function_dump()
    with connect(target) as client:
        client.function_restore(dumped)  # type: ignore[arg-type]


def _undo(target: Target, written: Written) -> None:
    """Remove what was written: half a restore must not pass for a whole one."""
    try:
        for database, names in written.batches():
            with connect(target, database, patient=True) as client:
                client.unlink(*names)
    except Unreachable:
        return  # the error that is on its way says what is wrong
