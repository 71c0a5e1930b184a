"""What belongs to the whole cluster: roles and tablespaces.

``pg_dumpall`` takes no snapshot, so they follow the dump: the catalogue is read before and after,
and the dump of them is taken again while it changes in between.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from dataclasses import dataclass
from typing import IO

import psycopg
from psycopg import sql

from backup_lib.model import NotCovered, Target
from backup_lib.stores.base import ArtifactSink
from backup_lib.stores.postgres import catalog
from backup_lib.stores.postgres.access import access
from backup_lib.stores.postgres.archive import statements
from backup_lib.stores.postgres.connection import connect, database_of, translated, value
from backup_lib.stores.postgres.content.schema import Roles, read_roles
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

_OF_ALL_STATEMENT = sql.SQL("ALTER ROLE ALL SET {} TO {};\n")
_NOT_REHEARSED = (
    "ALTER ROLE ALL SET stands in roles.sql, and is restored with the roles into a server that is "
    "kept; a rehearsal does not run under it"
)
_ATTEMPTS = 3
_IN_MEMORY = 4 * 1024 * 1024
_COMPLETE = b"PostgreSQL database cluster dump complete"
_CREATE_ROLE = b"CREATE ROLE "

_CATALOGUE = """
SELECT 'role', r::text FROM pg_roles r
UNION ALL SELECT 'member', m::text FROM pg_auth_members m
UNION ALL SELECT 'setting', s::text FROM pg_db_role_setting s WHERE setdatabase = 0
UNION ALL SELECT 'comment', c::text FROM pg_shdescription c WHERE classoid = 'pg_authid'::regclass
UNION ALL SELECT 'tablespace', t::text FROM pg_tablespace t
"""
_PARAMETERS = "UNION ALL SELECT 'parameter', p::text FROM pg_parameter_acl p "
_PARAMETERS_SINCE = 15
SETTINGS_OF_ALL = """
SELECT t FROM pg_db_role_setting s, unnest(s.setconfig) t WHERE s.setdatabase = 0 AND s.setrole = 0
"""
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
"""Settings whose value is kept as it is written in SQL, quotes and all (variable_is_guc_list_quote
in PostgreSQL's dumputils.c), but for an empty name, which is written as an empty text."""
_EMPTY_NAME = re.compile(r'(?:^|(?<=, ))""(?=,|$)')


@dataclass(frozen=True, slots=True)
class ClusterDump:
    """What was stored of the cluster.

    Attributes:
        notes: remarks for people.
        passwords: whether password hashes are among it.
        roles: as they were while they were dumped; None where they kept changing.
        not_covered: what no rehearsal proves.
    """

    notes: tuple[str, ...]
    passwords: bool
    roles: Roles | None
    not_covered: tuple[NotCovered, ...]


def dump_cluster(target: Target, programs: Programs, sink: ArtifactSink, work: Work) -> ClusterDump:
    """Store roles with their settings and, where there are any, tablespaces.

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
        found: Roles | None = None
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._work.scratch)) as dumped:
            for _ in range(_ATTEMPTS):
                before = self._catalogue()
                roles = read_roles(lambda: connect(self._target))
                self._pg_dumpall(options, dumped)
                of_all = self._settings_of_all()
                if self._catalogue() == before:
                    found = roles
                    break
            dumped.seek(0, io.SEEK_END)
            dumped.write(b"".join(of_all))
            _store(dumped, sink, ROLES_NAME, ROLES_ROLE)
        not_covered = []
        if found is None:
            not_covered.append(NotCovered("roles", "all", "they kept changing while being dumped"))
        if of_all:
            not_covered.append(NotCovered("role settings", "ALL", _NOT_REHEARSED))
        if value(self._connection, "SELECT count(*) > 2 FROM pg_tablespace"):
            with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._work.scratch)) as spaces:
                self._pg_dumpall(["--tablespaces-only"], spaces, roles=False)
                _store(spaces, sink, TABLESPACES_NAME, TABLESPACES_ROLE)
        return ClusterDump(tuple(notes), passwords, found, tuple(not_covered))

    def _settings_of_all(self) -> list[bytes]:
        """``ALTER ROLE ALL SET``, which pg_dumpall leaves out."""
        return [
            _OF_ALL_STATEMENT.format(
                sql.Identifier(*name.split(".")),
                sql.SQL(_EMPTY_NAME.sub("''", given)) if name in _LISTS else sql.Literal(given),
            ).as_bytes(self._connection)
            for (text,) in self._connection.execute(SETTINGS_OF_ALL)
            for name, _, given in [text.partition("=")]
        ]

    def _catalogue(self) -> str:
        digest = hashlib.sha256()
        query = _CATALOGUE
        if catalog.major(self._connection) >= _PARAMETERS_SINCE:
            query += _PARAMETERS
        for row in self._connection.execute(f"{query} ORDER BY 1, 2".encode()):
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
