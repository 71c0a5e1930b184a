"""ACL users: in no RDB file, so they are read beside it, where that is permitted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import valkey

from backup_lib.model import Fingerprint, Item, NotCovered
from backup_lib.stores.base import ArtifactSink
from backup_lib.stores.valkey.content.sums import digest
from backup_lib.stores.valkey.roles import USERS_ROLE
from restoreproof.errors import Refused

USERS_NAME = "users.acl"
USERS_TYPE = "text/plain"
KIND = "ACL users"
DEFAULT = "default"

_HASH = re.compile(r"#[0-9a-f]{64}")
_REASON_DEFAULT = "stored; the user default of a disposable server is our own way in"


@dataclass(frozen=True, slots=True)
class Users:
    """The users of a server, one line each as ``ACL LIST`` has them.

    Attributes:
        lines: None where they could not be read.
        not_covered: what is missing, and why.
    """

    lines: tuple[str, ...] | None
    not_covered: tuple[NotCovered, ...] = ()


def read(client: valkey.Valkey) -> tuple[str, ...] | None:
    """All lines; None where this user may not read them."""
    try:
        said = client.execute_command("ACL", "LIST")  # type: ignore[no-untyped-call]
    except (valkey.exceptions.NoPermissionError, valkey.ResponseError):
        return None
    return tuple(
        line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else str(line)
        for line in said
    )


def require(client: valkey.Valkey) -> tuple[str, ...]:
    """All lines.

    Raises:
        Refused: this user may not read them; then none may be made either, for it could be one
            that is there, with other rights.
    """
    lines = read(client)
    if lines is None:
        raise Refused(
            "the ACL users of the target may not be read, so none are made",
            hint="grant the user of the target +acl, or leave --globals out",
        )
    return lines


def settled(before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> Users:
    """The users at the moment of the backup, which lies between two readings."""
    if before is None or after is None:
        return Users(
            None, (NotCovered(KIND, "all", "no permission: grant the backup's user +acl|list"),)
        )
    if set(before) != set(after):
        return Users(None, (NotCovered(KIND, "all", "changed while the backup was made"),))
    return Users(before, (NotCovered(KIND, DEFAULT, _REASON_DEFAULT),))


def store(users: Users, sink: ArtifactSink) -> None:
    """Write them as a file that ``aclfile`` takes."""
    if users.lines is None:
        return
    with sink.open(USERS_NAME, role=USERS_ROLE, media_type=USERS_TYPE) as writer:
        for line in users.lines:
            writer.write(line.encode("utf-8", "surrogateescape") + b"\n")


def notes(users: Users) -> tuple[str, ...]:
    """What people should know of the artifact."""
    if users.lines is None or not any(_HASH.search(line) for line in users.lines):
        return ()
    return ("the set holds the ACL users with SHA-256 hashes of their passwords: keep it closed",)


def items(lines: tuple[str, ...]) -> Iterator[Item]:
    """One item for each user but ``default``; passwords in any order."""
    for line in lines:
        name, words = parts(line)
        if name != DEFAULT:
            hashes = sorted(word for word in words if _HASH.fullmatch(word))
            rest = [word for word in words if not _HASH.fullmatch(word)]
            text = " ".join((*hashes, *rest))
            yield Item(KIND, name, digest(text.encode("utf-8", "surrogateescape")).hex(), 1)


def parts(line: str) -> tuple[str, list[str]]:
    """Name and rules of a line ``user NAME RULE …``."""
    _, name, *words = line.split(" ")
    return name, words


def with_users(content: Fingerprint, users: Users) -> Fingerprint:
    """The fingerprint with the users in it."""
    return content if users.lines is None else with_items(content, items(users.lines))


def with_items(content: Fingerprint, more: Iterable[Item]) -> Fingerprint:
    """The fingerprint with more items in it."""
    together = (*content.items, *more)
    return replace(content, items=tuple(sorted(together, key=lambda item: (item.kind, item.name))))


def apply(client: valkey.Valkey, lines: tuple[str, ...]) -> tuple[str, ...]:
    """Make the users that are missing; those that are there, and ``default``, stay as they are.

    Returns:
        the names of users that were there already.

    Raises:
        Refused: nobody may see which are there.
    """
    there = {parts(line)[0] for line in require(client)}
    kept = []
    for line in lines:
        name, words = parts(line)
        if name == DEFAULT:
            continue
        if name in there:
            kept.append(name)
            continue
        client.execute_command("ACL", "SETUSER", name, "reset", *_rules(words))  # type: ignore[no-untyped-call]
    return tuple(kept)


def _rules(words: list[str]) -> Iterator[str]:
    """The rules as SETUSER takes them: a selector in parentheses is one word."""
    selector: list[str] = []
    for word in words:
        if selector or word.startswith("("):
            selector.append(word)
            if word.endswith(")"):
                yield " ".join(selector)
                selector = []
        else:
            yield word
