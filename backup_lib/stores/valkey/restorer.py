"""The restorer of the store ``valkey``: knows nothing but what the manifest says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backup_lib.model import Fingerprint, Gap, NotCovered, ServerFacts, StoreRecord, Target
from backup_lib.stores.base import ArtifactSource, AssertionResult, Restored, RestoreOptions
from backup_lib.stores.valkey import assertions as asking
from backup_lib.stores.valkey import facts, needs, users
from backup_lib.stores.valkey.address import connect, place_of
from backup_lib.stores.valkey.content import LOG_METHOD, METHOD, take
from backup_lib.stores.valkey.disposable import into_sandbox
from backup_lib.stores.valkey.roles import DATA_ROLE, LOG_FORMAT, LOG_INCREMENT_ROLE
from backup_lib.stores.valkey.transfer import into_server
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, UsageError

if TYPE_CHECKING:
    from backup_lib.sandboxes.base import ServerRecipe


class ValkeyRestorer:
    """Restores into a Valkey server, and reads back."""

    def recipe(self, record: StoreRecord) -> ServerRecipe:
        from backup_lib.stores.valkey.server import ValkeyRecipe

        return ValkeyRecipe(lambda offers: not self.gaps(record, offers))

    def gaps(self, record: StoreRecord, offers: ServerFacts) -> tuple[Gap, ...]:
        return needs.gaps(record, offers)

    def place(self, target: Target, options: RestoreOptions) -> str:  # noqa: ARG002  whole servers only
        return place_of(target)

    def restore(
        self, source: ArtifactSource, target: Target, options: RestoreOptions, work: Work
    ) -> Restored:
        if options.only or options.database:
            raise UsageError(
                "a Valkey backup is restored as a whole, into the databases it came from",
                hint="leave --only and --database out; --into names another configured store",
            )
        held = {artifact.role for artifact in source.record.artifacts}
        if held.isdisjoint({DATA_ROLE, LOG_INCREMENT_ROLE}):
            raise UsageError(
                f"the set holds no data of {source.record.name}",
                hint="backup.show lists what is in it",
            )
        if target.disposable:
            return into_sandbox(source, target, options, work)
        return into_server(source, target, options, work)

    def fingerprint(self, record: StoreRecord, target: Target, work: Work) -> Fingerprint:
        taken = record.backup.fingerprint
        method = METHOD if taken is None else taken.method
        if method not in (METHOD, LOG_METHOD):
            raise Inconclusive(
                f"the backup's fingerprint is of the method {method}, unknown here",
                hint="verify it with a version of this software that knows it",
            )
        if record.backup.details.get("format") == LOG_FORMAT:
            method = LOG_METHOD  # all that such a file can be compared with
        found = take(target, record.backup.moment, work, method=method)
        return _with_users(found, record, target)

    def check_assertions(
        self, target: Target, assertions: Sequence[str], work: Work
    ) -> tuple[AssertionResult, ...]:
        return asking.check(target, assertions, work)


def _with_users(found: Fingerprint, record: StoreRecord, target: Target) -> Fingerprint:
    """Of a disposable server all users, of a kept one those that the source has too.

    Another version may write the same rights otherwise, but makes no users of its own.
    """
    taken = record.backup.fingerprint
    wanted = {i.name for i in taken.items if i.kind == users.KIND} if taken else set()
    if not record.artifacts:  # a file of another tool
        return _without(found, wanted, "the file brings no ACL users")
    if not wanted and not target.disposable:
        return found
    with connect(target) as client:
        lines = users.read(client)
        here = facts.read(client)
    known = tuple(line for line in lines or () if users.parts(line)[0] in wanted)
    others = tuple(line for line in lines or () if users.parts(line)[0] not in wanted)
    if target.disposable:
        found = users.with_items(found, users.items(others))
    if lines is None or here.release != facts.release(record.backup.server.version):
        reason = "restored into another version, which may write the same rules in other words"
        return _without(found, wanted, reason)
    if target.disposable:
        return users.with_items(found, users.items(known))
    # a server that is kept keeps its users, and missing ones are made only with `globals`
    assert taken is not None
    at_source = {item.name: item.digest for item in taken.items if item.kind == users.KIND}
    same = tuple(i for i in users.items(known) if at_source[i.name] == i.digest)
    unlike = wanted - {item.name for item in same}
    reason = "not restored into a server that is kept, or kept there as it was"
    return users.with_items(_without(found, unlike, reason), same)


def _without(found: Fingerprint, wanted: set[str], reason: str) -> Fingerprint:
    unread = tuple(NotCovered(users.KIND, name, reason) for name in sorted(wanted))
    return Fingerprint(found.method, found.consistency, found.items, (*found.not_covered, *unread))
