"""Settings of the store postgres, and the address they resolve to."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest
from pydantic import ValidationError

from backup_lib.model import Target
from backup_lib.stores.postgres.address import is_local, resolve
from backup_lib.stores.postgres.settings import PostgresSettings
from restoreproof.errors import ConfigError
from restoreproof.secrets import SecretRef


class Address(Protocol):
    def __call__(self, text: str, *, tls: str | None = None) -> Target: ...


PASSWORD = "correct:horse\\battery"


@pytest.fixture(autouse=True)
def _no_libpq_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def dsn(monkeypatch: pytest.MonkeyPatch) -> Address:
    def address(text: str, *, tls: str | None = None) -> Target:
        monkeypatch.setenv("THE_DSN", text)
        settings = PostgresSettings.model_validate({"dsn": SecretRef(env="THE_DSN"), "tls": tls})
        return resolve(settings, Path("/etc/restoreproof"))

    return address


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="passwd"):
        PostgresSettings.model_validate({"passwd": "x"})


def test_a_field_beside_a_dsn_is_refused() -> None:
    with pytest.raises(ValidationError, match="host is given beside dsn"):
        PostgresSettings.model_validate({"dsn": {"env": "X"}, "host": "db"})


def test_a_client_certificate_needs_its_key() -> None:
    with pytest.raises(ValidationError, match="cert and key belong together"):
        PostgresSettings.model_validate({"tls": {"cert": "client.crt"}})


def test_the_password_is_kept_apart_from_the_keywords(dsn: Address) -> None:
    target = dsn("host=/run/pg dbname=orders user=app password='correct:horse\\\\battery'")
    assert target.params == {"host": "/run/pg", "dbname": "orders", "user": "app"}
    assert target.password is not None
    assert target.password.reveal() == PASSWORD
    assert "horse" not in repr(target)


def test_a_malformed_dsn_is_not_quoted(dsn: Address) -> None:
    with pytest.raises(ConfigError) as caught:
        dsn("topsecret without any sense")
    assert "topsecret" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("place", "local"),
    [
        ({}, True),
        ({"host": "/run/postgresql"}, True),
        ({"host": "localhost"}, True),
        ({"host": "127.0.0.7"}, True),
        ({"host": "::1"}, True),
        ({"host": "db.example"}, False),
        ({"host": "localhost,db.example"}, False),
        ({"host": "localhost", "hostaddr": "192.0.2.7"}, False),
        ({"host": "0.0.0.0"}, False),
    ],
)
def test_only_sockets_and_loopback_are_local(place: dict[str, str], local: bool) -> None:
    assert is_local(place) is local


def test_a_remote_server_is_reached_with_tls(dsn: Address) -> None:
    assert dsn("host=db.example").params["sslmode"] == "require"
    assert dsn("host=db.example sslrootcert=/ca").params["sslmode"] == "verify-full"
    assert "sslmode" not in dsn("host=127.0.0.1").params


def test_a_remote_server_without_tls_must_be_asked_for(dsn: Address) -> None:
    with pytest.raises(ConfigError, match="without encryption") as caught:
        dsn("host=db.example sslmode=prefer")
    assert 'tls = "off"' in caught.value.hint
    assert dsn("host=db.example", tls="off").params["sslmode"] == "disable"


def test_tls_off_against_an_encrypting_dsn_is_a_contradiction(dsn: Address) -> None:
    with pytest.raises(ConfigError, match="verify-full"):
        dsn("host=db.example sslmode=verify-full sslrootcert=/ca", tls="off")


def test_tls_files_are_relative_to_the_configuration() -> None:
    settings = PostgresSettings.model_validate(
        {
            "host": "127.0.0.1",
            "tls": {
                "ca": "ca.pem",
                "cert": "me.pem",
                "key": "/keys/me.key",
                "server_name": "db.example",
            },
        }
    )
    assert resolve(settings, Path("/etc/restoreproof")).params == {
        "host": "db.example",
        "hostaddr": "127.0.0.1",
        "sslmode": "verify-full",
        "sslrootcert": "/etc/restoreproof/ca.pem",
        "sslcert": "/etc/restoreproof/me.pem",
        "sslkey": "/keys/me.key",
    }


def test_a_passphrase_of_a_client_key_is_refused(dsn: Address) -> None:
    with pytest.raises(ConfigError, match="sslpassword"):
        dsn("host=127.0.0.1 sslpassword=topsecret")


def test_the_environment_completes_what_is_not_set(
    dsn: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "/run/pg")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    target = dsn("dbname=orders")
    assert target.params == {"host": "/run/pg", "dbname": "orders"}
    assert target.password is not None
    assert target.password.reveal() == PASSWORD


def test_a_service_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    services = tmp_path / "pg_service.conf"
    services.write_text("[orders]\nhost=127.0.0.1\nport=1\ndbname=orders\npassword=hidden\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    target = resolve(PostgresSettings(service="orders", user="app"), tmp_path)
    expected = {"host": "127.0.0.1", "port": "1", "dbname": "orders", "user": "app"}
    assert {**target.params, **expected} == target.params
    assert "service" not in target.params
    assert target.password is not None
    assert target.password.reveal() == "hidden"


def test_an_unknown_service_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="orders"):
        resolve(PostgresSettings(service="orders"), tmp_path)
