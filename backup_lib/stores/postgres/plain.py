r"""Plain SQL dumps, through psql, without letting the dump command psql.

psql executes backslash commands in what it reads, ``\!`` with a shell too. Since 17.6, 16.10, 15.14
and 14.19 it can be locked: after ``\restrict TOKEN`` it takes no backslash command but
``\unrestrict`` with the same token. We lock it with a token of our own before the first byte of
the dump, and try beforehand whether this psql does lock. Dumps of newer tools bring their own pair
of lines, which is taken out: within our lock it could only be refused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from backup_lib.model import Target
from backup_lib.stores.postgres.access import Access, access
from backup_lib.stores.postgres.allowlist import ToolError
from backup_lib.stores.postgres.judgement import verdict
from backup_lib.stores.postgres.programs import Programs
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, JudgedBad
from restoreproof.process import ChildFailed, run

_CHUNK = 1024 * 1024
HEAD_SIZE = 64 * 1024
_TAIL = 4096
_STDERR_LIMIT = 60 * 1024

_HEADER = b"-- PostgreSQL database dump"
_TRAILER = re.compile(rb"-- PostgreSQL database (?:cluster )?dump complete")
_RESTRICT = re.compile(rb"^\\restrict ([A-Za-z0-9]+)[ \t]*\r?\n", re.MULTILINE)
_ENCODING = re.compile(rb"^SET client_encoding = '([A-Za-z0-9_]+)';", re.MULTILINE)

_ERROR = re.compile(r"^psql:<stdin>:\d+: (?:ERROR|FATAL|PANIC):\s+(.*)$")
_COMMAND_REFUSED = "backslash commands are restricted"

FOREIGN_ALLOWED = (
    re.compile(r'role "(?:[^"]|"")*" does not exist'),
    re.compile(r'unrecognized configuration parameter "transaction_timeout"'),
    re.compile(r'schema "public" already exists'),
)
"""Errors that a plain dump of unknown origin may have in a disposable server: it brings no roles,
and new tools write for new servers. Content is what is judged."""


@dataclass(frozen=True, slots=True)
class Head:
    r"""What the first bytes of a plain dump say.

    Attributes:
        is_dump: whether it says that pg_dump or pg_dumpall wrote it.
        encoding: the client encoding it sets; empty where it sets none.
        token: of its own ``\restrict`` line.
    """

    is_dump: bool
    encoding: str
    token: bytes


def look_at(head: bytes) -> Head:
    """Read the first bytes of a plain dump."""
    encoding = _ENCODING.search(head)
    token = _own_restriction(head)
    return Head(
        is_dump=_HEADER in head[:_TAIL],
        encoding=encoding[1].decode() if encoding else "",
        token=token,
    )


def _own_restriction(head: bytes) -> bytes:
    r"""The token of a ``\restrict`` line that only blank lines and comments precede."""
    match = _RESTRICT.search(head)
    if match is None:
        return b""
    before = head[: match.start()].splitlines()
    if any(line.strip() and not line.startswith(b"--") for line in before):
        return b""
    return match[1]


def run_script(
    target: Target,
    programs: Programs,
    stream: BinaryIO,
    work: Work,
    *,
    first: bytes = b"",
    allowed: tuple[re.Pattern[str], ...] = (),
) -> tuple[str, ...]:
    """Run a plain SQL dump in the target's database.

    Args:
        target: the server and database.
        programs: folder of psql.
        stream: the script, or what follows ``first``.
        work: the circumstances.
        first: what of it was read already.
        allowed: messages that are no reason to fail; anything else is.

    Returns:
        the errors that were allowed.

    Raises:
        JudgedBad: the script fails, or it is cut.
        Inconclusive: psql cannot be locked, or the script wants something of psql itself.
        Unreachable, NoSpace: the server is the trouble.
    """
    first = first + stream.read(max(0, HEAD_SIZE - len(first)))
    head = look_at(first)
    end = _End()
    with access(target) as way:
        argv = _shut_in(_argv(programs, way), target)
        _try_lock(programs, way, argv)
        finished = run(
            [*argv, "--output=/dev/null"],
            env=way.env,
            pass_fds=way.pass_fds,
            stdin=_locked(_without_pair(_bytes(first, stream, end), head.token)),
            stall_timeout=work.stall_timeout,
            cancel=work.cancel,
            accept=(0, 1, 2, 3),
        )
    errors = [found[1] for line in finished.stderr.splitlines() if (found := _ERROR.match(line))]
    _refuse_commands(finished.stderr)
    bad = [text for text in errors if not any(entry.fullmatch(text) for entry in allowed)]
    if bad or finished.returncode:
        said = bad[0] if bad else finished.stderr.strip().splitlines()[-1:] or ["psql broke off"]
        message = said if isinstance(said, str) else said[0]
        raise verdict(ToolError(message, ""), finished.stderr, target)
    if len(finished.stderr) > _STDERR_LIMIT:
        raise Inconclusive(
            f"psql reported {len(errors)} errors and more: too many to judge each",
            hint="make the roles that the dump names, or back up with pg_dump -Fc",
        )
    if head.is_dump and not _TRAILER.search(end.kept):
        raise JudgedBad(
            "the dump is cut: the line that pg_dump ends it with is missing",
            hint="use an older backup, and look for a full disk where this one was made",
        )
    return tuple(errors)


def _argv(programs: Programs, way: Access) -> list[str]:
    return [
        programs.path("psql"),
        "--no-psqlrc",
        "--quiet",
        "--no-password",
        "--set=VERBOSITY=terse",
        "--set=SHOW_CONTEXT=never",
        f"--dbname={way.conninfo}",
        "--file=-",
    ]


def _shut_in(argv: list[str], target: Target) -> Sequence[str]:
    """For a sandbox, psql sees nothing but itself and the server's socket."""
    if not (target.disposable and target.params.get("host", "").startswith("/")):
        return argv
    from backup_lib.stores.postgres.server import confined_client

    return confined_client(argv, target)


def _try_lock(programs: Programs, way: Access, argv: Sequence[str]) -> None:
    """Whether this psql refuses commands once it is locked: seen, not read off its version."""
    token = secrets.token_hex(16)
    probe = f"\\restrict {token}\n\\echo open\n".encode()
    said = bytearray()
    try:
        finished = run(
            argv, env=way.env, pass_fds=way.pass_fds, stdin=iter([probe]), stdout=said.extend
        )
    except ChildFailed as failed:
        raise Inconclusive(
            f"psql does not run: {failed.message}", hint="see what psql says by hand"
        ) from failed
    if b"open" in said or _COMMAND_REFUSED not in finished.stderr:
        raise Inconclusive(
            f"psql {programs.version} executes whatever commands a dump holds",
            hint="update it: psql can be locked from 17.6, 16.10, 15.14 and 14.19 on",
        )


def _refuse_commands(stderr: str) -> None:
    for line in stderr.splitlines():
        if _COMMAND_REFUSED in line:
            number = re.search(r"<stdin>:(\d+)", line)
            raise Inconclusive(
                "the dump holds a command for psql itself"
                + (f" (about line {int(number[1]) - 1})" if number else "")
                + ", which is not executed",
                hint=r"a \connect comes from pg_dumpall or pg_dump --create: back up each database "
                "with pg_dump -Fc; anything else does not belong into a dump",
            )


class _End:
    """The last bytes of the script."""

    kept = b""


def _bytes(first: bytes, stream: BinaryIO, end: _End) -> Iterator[bytes]:
    piece = first
    while piece:
        end.kept = (end.kept + piece)[-_TAIL:]
        yield piece
        piece = stream.read(_CHUNK)


def _locked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield f"\\restrict {secrets.token_hex(32)}\n".encode()
    yield from pieces
    yield b"\n"


def _without_pair(pieces: Iterator[bytes], token: bytes) -> Iterator[bytes]:
    r"""The script without its own ``\restrict`` and ``\unrestrict`` lines of that token.

    The lines are emptied, not removed, so that line numbers in messages stay.
    """
    if not token:
        yield from pieces
        return
    line = re.compile(rb"(?m)^\\(?:un)?restrict " + re.escape(token) + rb"[ \t]*\r?$")
    longest = len(token) + 32
    held = b""
    for piece in pieces:
        held += piece
        # a line that may go on in the next piece is held back
        cut = held.rfind(b"\n", max(0, len(held) - longest)) + 1
        cut = cut or len(held) - min(len(held), longest)
        yield line.sub(b"", held[:cut])
        held = held[cut:]
    yield line.sub(b"", held)
