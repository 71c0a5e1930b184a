"""Against the distribution's PostgreSQL: another major, with TLS, ICU, libxml and lz4."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_lib.model import Target
from backup_lib.stores.base import RestoreOptions
from backup_lib.stores.postgres import databases
from backup_lib.stores.postgres.restorer import PostgresRestorer
from backup_lib.stores.postgres.server import PostgresRecipe
from backup_lib.stores.postgres.settings import PostgresSettings
from backup_lib.stores.postgres.source import PostgresSource
from backup_lib.work import Work
from restoreproof.errors import Refused, Unreachable, UsageError
from tests.harness.debian import Authority, server_programs
from tests.harness.memory_set import MemorySet, MemorySource
from tests.harness.postgres import ACCOUNT, MakeServer, PostgresServer, bundled_programs

pytestmark = pytest.mark.servers


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(scratch=tmp_path, stall_timeout=60, jobs=2)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def debian(make_module_server: MakeServer, authority: Authority) -> PostgresServer:
    """A server that takes only encrypted connections on TCP, and knows roles by certificate."""
    server = make_module_server(programs=server_programs(), tcp=True)
    certificate, key = authority.issue("db.example")
    for source, name in (
        (certificate, "server.crt"),
        (key, "server.key"),
        (authority.certificate, "ca.crt"),
    ):
        shutil.copyfile(source, server.data / name)
        (server.data / name).chmod(0o600)
        shutil.chown(server.data / name, server.data.owner())
    (server.data / "pg_hba.conf").write_text(
        "local all all trust\nhostssl all certified all cert\nhostssl all all all trust\n"
    )
    server._settings |= {"ssl": "on", "ssl_ca_file": "ca.crt"}
    server.restart()
    server.create_database("shop")
    with server.connect("shop") as connection:
        connection.execute(
            """
            CREATE ROLE certified LOGIN SUPERUSER;
            CREATE TABLE t (n int PRIMARY KEY, v text);
            INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 1000) n;
            """
        )
    return server


def settings(server: PostgresServer, dbname: str = "shop", **more: object) -> PostgresSettings:
    given = {**server.params(dbname), "port": server.port, **more}
    return PostgresSettings.model_validate(given)


def back_up(given: PostgresSettings, work: Work) -> MemorySource:
    kept = MemorySet()
    return kept.finish(PostgresSource("shop", given, Path("/")).backup(kept.sink(), work))


def test_the_connection_is_encrypted_and_both_sides_are_proven(
    debian: PostgresServer, authority: Authority, work: Work
) -> None:
    certificate, key = authority.issue("certified")
    tls = {
        "ca": str(authority.certificate),
        "cert": str(certificate),
        "key": str(key),
        "server_name": "db.example",
    }
    given = settings(debian, user="certified", tls=tls)
    source = PostgresSource("shop", given, Path("/"))
    assert source.probe().features["tls"] == "yes"
    assert source.target().params["sslmode"] == "verify-full"
    assert back_up(given, work).record.backup.fingerprint is not None


def test_another_name_in_the_certificate_is_refused(
    debian: PostgresServer, authority: Authority
) -> None:
    given = settings(debian, tls={"ca": str(authority.certificate), "server_name": "other.example"})
    with pytest.raises(Unreachable, match="does not match") as caught:
        PostgresSource("shop", given, Path("/")).probe()
    assert "server_name" in caught.value.hint


def test_another_authority_is_refused(debian: PostgresServer, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    given = settings(debian, tls={"ca": str(stranger.certificate), "server_name": "db.example"})
    with pytest.raises(Unreachable, match="verify failed") as caught:
        PostgresSource("shop", given, Path("/")).probe()
    assert "tls.ca" in caught.value.hint


def test_tools_without_tls_are_named_with_the_package(debian: PostgresServer, work: Work) -> None:
    given = settings(debian, tls={"mode": "require"}, programs=str(bundled_programs()))
    with pytest.raises(UsageError, match="built without TLS") as caught:
        back_up(given, work)
    assert "postgresql-client-" in caught.value.hint


def test_an_older_major_is_restored_into_the_newest(
    debian: PostgresServer, make_server: MakeServer, work: Work
) -> None:
    source = back_up(settings(debian, tls={"mode": "require"}), work)
    newest = make_server()
    restorer = PostgresRestorer()
    target = Target("postgres", newest.params(), disposable=True)
    restored = restorer.restore(source, target, RestoreOptions(), work)
    assert restored.tolerated == ()
    taken = source.record.backup.fingerprint
    assert taken is not None
    copied = restorer.fingerprint(source.record, restored.target, work)
    assert [i for i in taken.items if i.kind == "table"] == [
        i for i in copied.items if i.kind == "table"
    ]


def test_a_parameter_the_server_does_not_know_yet_is_tolerated_and_counted(
    debian: PostgresServer, work: Work
) -> None:
    """pg_dump 17 and newer sets transaction_timeout; servers before 17 do not know it."""
    source = back_up(
        settings(debian, tls="off", host=str(debian.home), programs=str(bundled_programs())), work
    )
    target = Target("postgres", {**debian.params("again"), "sslmode": "require"})
    with pytest.raises(UsageError, match="built without TLS"):
        PostgresRestorer().restore(source, target, RestoreOptions(), work)
    local = Target("postgres", {**debian.params("again"), "host": str(debian.home)})
    restored = PostgresRestorer().restore(source, local, RestoreOptions(), work)
    (tolerated,) = restored.tolerated
    assert tolerated.startswith('unrecognized configuration parameter "transaction_timeout"')
    assert tolerated.endswith("(SET transaction_timeout = 0;)")
    debian.drop_database("again")


def test_a_newer_dump_is_refused_by_an_older_server(
    debian: PostgresServer, postgres: PostgresServer, work: Work
) -> None:
    postgres.create_database("newer")
    source = back_up(settings(postgres, "newer"), work)
    target = Target("postgres", {**debian.params("newer"), "sslmode": "require"})
    with pytest.raises(Refused, match="older PostgreSQL 1"):
        PostgresRestorer().restore(source, target, RestoreOptions(), work)


def test_what_the_wheel_lacks_is_found_before_work_starts(
    debian: PostgresServer, work: Work
) -> None:
    debian.create_database("rich", locale_provider="icu", icu_locale="de")
    with debian.connect("rich") as connection:
        connection.execute(
            """
            CREATE TABLE papers (x xml, big text COMPRESSION lz4, name text COLLATE "de-x-icu");
            CREATE EXTENSION pgcrypto;
            """
        )
    source = back_up(settings(debian, "rich", tls={"mode": "require"}), work)
    gaps = PostgresRestorer().gaps(source.record, PostgresRecipe().facts(bundled_programs()))
    assert {gap.need.feature for gap in gaps} == {
        "locale_provider:icu",
        "xml",
        "toast_compression:lz4",
        "extension:pgcrypto",
    }
    assert all("Debian" in gap.hint for gap in gaps)
    same = PostgresRecipe().facts(server_programs())
    assert PostgresRestorer().gaps(source.record, same) == ()


# ── PgBouncer ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def pgbouncer(server: PostgresServer, mode: str) -> Iterator[Path]:
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer: run .ci/setup")
    home = Path(tempfile.mkdtemp(prefix=f"pool-{mode}-", dir=server.home))
    configuration = home / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={server.host} port={server.port} user=postgres\n"
        f"[pgbouncer]\nlisten_addr=\nunix_socket_dir={home}\nauth_type=any\npool_mode={mode}\n"
    )
    account = ACCOUNT if server.home.owner() == ACCOUNT else None
    if account:
        shutil.chown(home, account)
    with subprocess.Popen(
        [program, str(configuration)], user=account, stderr=subprocess.DEVNULL
    ) as process:
        socket = home / ".s.PGSQL.6432"
        deadline = time.monotonic() + 20
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        try:
            yield home
        finally:
            process.terminate()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_moves_sessions_is_refused(
    postgres: PostgresServer, work: Work, mode: str
) -> None:
    postgres.create_database("pooled")
    with pgbouncer(postgres, mode) as home:
        given = settings(postgres, "pooled", host=str(home), port=6432)
        with pytest.raises(Refused, match="pooler in transaction mode") as caught:
            back_up(given, work)
    assert "pool_mode = session" in caught.value.hint


def test_a_pooler_that_keeps_sessions_will_do(postgres: PostgresServer, work: Work) -> None:
    postgres.create_database("pooled")
    with postgres.connect("pooled") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    with pgbouncer(postgres, "session") as home:
        source = back_up(settings(postgres, "pooled", host=str(home), port=6432), work)
    assert source.record.backup.fingerprint is not None


def test_event_triggers_that_a_pooler_lets_nobody_switch_off_are_named(
    postgres: PostgresServer,
) -> None:
    postgres.create_database("logged")
    with postgres.connect("logged") as connection:
        connection.execute(
            "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
            "CREATE EVENT TRIGGER visited ON login EXECUTE FUNCTION note()"
        )
    direct = Target("postgres", postgres.params("logged"))
    with postgres.connect() as admin, pgbouncer(postgres, "session") as home:
        pooled = Target("postgres", {**direct.params, "host": str(home), "port": "6432"})
        assert databases.without_event_triggers(pooled, "logged") == pooled
        assert databases.login_triggers(admin, pooled, "logged") == ("visited",)
        quiet = databases.without_event_triggers(direct, "logged")
        assert databases.login_triggers(admin, quiet, "logged") == ()
