"""What belongs to the whole cluster: roles and tablespaces.

``pg_dumpall`` takes no snapshot, so they follow the dump: the catalogue is read before and after,
and the dump of them is taken again while it changes in between.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from typing import IO

import psycopg

from backup_lib.model import Target
from backup_lib.stores.base import ArtifactSink
from backup_lib.stores.postgres.access import access
from backup_lib.stores.postgres.archive import statements
from backup_lib.stores.postgres.connection import connect, database_of, translated, value
from backup_lib.stores.postgres.diagnosis import dump_failed
from backup_lib.stores.postgres.programs import Programs
from backup_lib.work import Work
from restoreproof.errors import Unreachable
from restoreproof.events import step
from restoreproof.process import ChildFailed, run

ROLES_ROLE = "roles"
ROLES_NAME = "roles.sql"
TABLESPACES_ROLE = "tablespaces"
TABLESPACES_NAME = "tablespaces.sql"
SQL_TYPE = "application/sql"

_ATTEMPTS = 3
_IN_MEMORY = 4 * 1024 * 1024
_COMPLETE = b"PostgreSQL database cluster dump complete"
_CREATE_ROLE = b"CREATE ROLE "

_CATALOGUE = """
SELECT 'role', r::text FROM pg_roles r
UNION ALL SELECT 'member', m::text FROM pg_auth_members m
UNION ALL SELECT 'setting', s::text FROM pg_db_role_setting s WHERE setdatabase = 0
UNION ALL SELECT 'tablespace', t::text FROM pg_tablespace t ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class ClusterDump:
    """What was stored of the cluster.

    Attributes:
        notes: remarks for people.
        passwords: whether password hashes are among it.
        unchanged: whether the catalogue was the same before and after.
    """

    notes: tuple[str, ...]
    passwords: bool
    unchanged: bool


def dump_cluster(target: Target, programs: Programs, sink: ArtifactSink, work: Work) -> ClusterDump:
    """Store roles and, where there are any, tablespaces.

    Raises:
        Unreachable: pg_dumpall failed, or left roles out.
    """
    with (
        step(work.emit, "roles", "dumping the roles", monotonic=work.clock.monotonic),
        connect(target) as connection,
        translated(target, "reading the roles"),
    ):
        return _Cluster(target, programs, connection, work).dump(sink)


class _Cluster:
    def __init__(
        self, target: Target, programs: Programs, connection: psycopg.Connection, work: Work
    ) -> None:
        self._target = target
        self._programs = programs
        self._connection = connection
        self._work = work

    def dump(self, sink: ArtifactSink) -> ClusterDump:
        passwords = bool(
            value(self._connection, "SELECT has_table_privilege('pg_authid', 'select')")
        )
        options = ["--roles-only", *([] if passwords else ["--no-role-passwords"])]
        notes = [] if passwords else ["roles without passwords: only a superuser may read them"]
        unchanged = False
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._work.scratch)) as roles:
            for _ in range(_ATTEMPTS):
                before = self._catalogue()
                self._pg_dumpall(options, roles)
                unchanged = self._catalogue() == before
                if unchanged:
                    break
            if not unchanged:
                notes.append("roles kept changing while they were dumped")
            _store(roles, sink, ROLES_NAME, ROLES_ROLE)
        if value(self._connection, "SELECT count(*) > 2 FROM pg_tablespace"):
            with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._work.scratch)) as spaces:
                self._pg_dumpall(["--tablespaces-only"], spaces, roles=False)
                _store(spaces, sink, TABLESPACES_NAME, TABLESPACES_ROLE)
        return ClusterDump(tuple(notes), passwords, unchanged)

    def _catalogue(self) -> str:
        digest = hashlib.sha256()
        for row in self._connection.execute(_CATALOGUE):
            digest.update(repr(row).encode())
        return digest.hexdigest()

    def _pg_dumpall(self, options: list[str], into: IO[bytes], *, roles: bool = True) -> None:
        into.seek(0)
        into.truncate()
        with access(self._target) as way:
            argv = [
                self._programs.path("pg_dumpall"),
                f"--dbname={way.conninfo}",
                f"--database={database_of(self._target)}",
                "--no-password",
                *options,
            ]
            try:
                run(
                    argv,
                    env=way.env,
                    pass_fds=way.pass_fds,
                    stdout=into.write,
                    stall_timeout=self._work.stall_timeout,
                    cancel=self._work.cancel,
                )
            except ChildFailed as failed:
                raise dump_failed(failed, self._target) from None
        self._check(into, roles=roles)

    def _check(self, dumped: IO[bytes], *, roles: bool) -> None:
        """The tool's exit code is not believed: what it wrote must be whole."""
        dumped.seek(0)
        seen = 0
        complete = False
        for text in statements(dumped.read()):
            seen += text.startswith(_CREATE_ROLE)
            complete = complete or (text.startswith(b"--") and _COMPLETE in text)
        expected = value(self._connection, "SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_'")
        if not complete or (roles and seen != expected):
            raise Unreachable(
                f"pg_dumpall wrote {seen} of {expected} roles"
                + ("" if complete else ", and not to the end"),
                hint="nothing was stored; run it again",
            )


def _store(dumped: IO[bytes], sink: ArtifactSink, name: str, role: str) -> None:
    dumped.seek(0)
    with sink.open(name, role=role, media_type=SQL_TYPE) as writer:
        while piece := dumped.read(_IN_MEMORY):
            writer.write(piece)
