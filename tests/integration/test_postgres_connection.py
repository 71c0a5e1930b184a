"""Connections, poolers, and how tools get at the password; on real servers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backup_lib.model import Target
from backup_lib.stores.postgres import catalog, features, programs
from backup_lib.stores.postgres.access import access
from backup_lib.stores.postgres.connection import connect
from restoreproof.errors import ConfigError, Unreachable, UsageError
from restoreproof.secrets import Secret
from tests.harness.postgres import MakeServer, PostgresServer, bundled_programs

PASSWORD = r"pa:ss\wörd 'x'"


@pytest.fixture(scope="module")
def guarded(make_module_server: MakeServer) -> PostgresServer:
    return make_module_server(tcp=True, password=PASSWORD)


def target_of(server: PostgresServer, dbname: str = "postgres", **params: str) -> Target:
    secret = None if server.password is None else Secret(server.password)
    return Target("postgres", {**server.params(dbname), **params}, secret)


def test_a_wrong_password_is_one_sentence_with_a_hint(guarded: PostgresServer) -> None:
    target = Target("postgres", guarded.params(), Secret("not this one"))
    with pytest.raises(Unreachable, match="password authentication failed") as caught:
        connect(target)
    assert "check user and password" in caught.value.hint
    assert "not this one" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "said", "hint"),
    [
        ({"dbname": "absent"}, 'database "absent" does not exist', "create the database"),
        ({"port": "1"}, "Connection refused", "is the server running"),
        ({"host": "db.invalid"}, "", "check the host's name"),
        ({"sslmode": "require"}, "does not support SSL", 'tls = "off"'),
    ],
)
def test_what_keeps_us_out_is_named(
    guarded: PostgresServer, params: dict[str, str], said: str, hint: str
) -> None:
    with pytest.raises(Unreachable) as caught:
        connect(target_of(guarded, **params))
    assert said in str(caught.value)
    assert hint in caught.value.hint


def test_a_missing_socket_is_a_server_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        connect(Target("postgres", {"host": str(tmp_path), "user": "postgres"}))
    assert "is the server running" in caught.value.hint


def test_no_right_to_connect_names_the_grant(postgres: PostgresServer) -> None:
    postgres.create_database("closed")
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE outsider LOGIN")
        connection.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    with pytest.raises(Unreachable) as caught:
        connect(target_of(postgres, "closed", user="outsider"))
    assert caught.value.hint == "GRANT CONNECT ON DATABASE closed TO outsider"
    with postgres.connect() as connection:
        connection.execute("DROP ROLE outsider")


def test_a_tool_gets_the_password_but_neither_argv_nor_environ_shows_it(
    guarded: PostgresServer,
) -> None:
    with access(target_of(guarded)) as way:
        argv = [str(guarded.programs / "psql"), "-XAtd", way.conninfo, "-c", "SELECT pg_sleep(1)"]
        assert PASSWORD not in way.conninfo
        with subprocess.Popen(
            argv, env=dict(way.env), pass_fds=way.pass_fds, stderr=subprocess.PIPE
        ) as child:
            seen = b"".join(
                Path(f"/proc/{child.pid}/{name}").read_bytes() for name in ("cmdline", "environ")
            )
            assert child.stderr is not None
            said = child.stderr.read()
        assert (child.returncode, said) == (0, b"")
        assert b"w\xc3\xb6rd" not in seen


def test_the_password_has_left_the_machine_with_the_block(guarded: PostgresServer) -> None:
    with access(target_of(guarded)) as way:
        path = way.conninfo.split("passfile=")[1].split()[0]
        assert Path(path).exists()
    assert not Path(path).exists()


def test_a_password_with_a_line_break_is_refused() -> None:
    target = Target("postgres", {}, Secret("two\nlines"))
    with pytest.raises(ConfigError, match="line break"), access(target):
        pass


def test_what_the_wheel_offers(postgres: PostgresServer) -> None:
    with connect(target_of(postgres)) as connection:
        offers = catalog.offers(connection)
    assert features.major(offers.version) == 18
    assert features.extension("hstore") in offers.features
    assert features.locale_provider("builtin") in offers.features
    assert features.locale_provider("icu") not in offers.features
    assert features.XML not in offers.features
    assert features.toast_compression("lz4") not in offers.features


def test_the_oldest_tools_that_fit_are_chosen() -> None:
    wheel = programs.client_tools(18, encrypted=False)
    assert wheel.major >= 18
    with pytest.raises(UsageError, match="no pg_dump of major version 99"):
        programs.client_tools(99, encrypted=False)


def test_tools_without_tls_are_found_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="built without TLS") as caught:
        programs.client_tools(18, encrypted=True, folder=bundled_programs())
    assert "postgresql-client-18" in caught.value.hint
    with pytest.raises(ConfigError, match="has no pg_dump"):
        programs.client_tools(18, encrypted=False, folder=tmp_path)
