"""Alert channels against real servers: what is particular to each kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import valkey
from pydantic import ValidationError

from restoreproof.alerts.model import Heartbeat
from restoreproof.errors import ConfigError, Unreachable
from restoreproof.verdict import Verdict
from tests.harness.alert_channels import NOON, an_alert, channel
from tests.harness.receivers import http_receiver, smtp_receiver
from tests.harness.tls import Authority, tls_proxy
from tests.harness.valkey import MakeValkeyServer, ValkeyServer, free_port

STREAM = "restoreproof:alerts"


@pytest.fixture
def stream(valkey_server: ValkeyServer) -> Iterator[valkey.Valkey]:
    with valkey_server.client() as client:
        yield client


# ── the stream ──────────────────────────────────────────────────────────────────────────────────


def test_a_worker_reads_every_field_from_the_stream(
    valkey_server: ValkeyServer, stream: valkey.Valkey
) -> None:
    stream.xgroup_create(STREAM, "pagers", mkstream=True)

    channel("valkey", url=valkey_server.unix_url).send(an_alert())

    answer: Any = stream.xreadgroup("pagers", "me", {STREAM: ">"})
    ((_, ((_, fields),)),) = answer
    assert fields == {
        "format": "1",
        "set": "nightly",
        "store": "orders",
        "rung": "integrity",
        "verdict": "failed",
        "recovered": "0",
        "reason": "orders/database.dump.zst is not what the manifest says",
        "hint": "restore from the copy offsite",
        "first_failed": "2026-02-28T12:00:00.000000Z",
        "last_good": "2026-02-27T12:00:00.000000Z",
        "occurrences": "2",
        "host": "db1.example",
        "at": "2026-03-01T12:00:00.000000Z",
    }


def test_the_stream_does_not_grow_without_bound(
    valkey_server: ValkeyServer, stream: valkey.Valkey
) -> None:
    writer = channel("valkey", url=valkey_server.url, max_entries=10)
    for _ in range(300):
        writer.send(an_alert())

    # approximate: the server drops whole nodes, of 100 entries by default
    length: Any = stream.xlen(STREAM)
    assert length < 200


def test_a_dashboard_sees_staleness_in_the_status_hash(
    valkey_server: ValkeyServer, stream: valkey.Valkey
) -> None:
    channel("valkey", url=valkey_server.url).beat(
        Heartbeat("nightly", "orders", Verdict.FAILED, NOON, NOON - timedelta(days=1), "db1")
    )

    assert stream.hgetall(f"{STREAM}:status:nightly/orders") == {
        "format": "1",
        "verdict": "failed",
        "at": "2026-03-01T12:00:00.000000Z",
        "last_good": "2026-02-28T12:00:00.000000Z",
        "host": "db1",
    }


def test_the_heartbeat_can_be_switched_off(
    valkey_server: ValkeyServer, stream: valkey.Valkey
) -> None:
    quiet = channel("valkey", url=valkey_server.url, heartbeat=False)
    quiet.beat(Heartbeat("nightly", "orders", Verdict.PASSED, NOON, NOON, "db1"))

    assert stream.keys() == []


def test_a_user_without_the_right_to_write_is_told_so(
    valkey_server: ValkeyServer, stream: valkey.Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALKEY_URL", f"valkey://reader:pass@127.0.0.1:{valkey_server.port}")
    stream.acl_setuser(
        "reader", enabled=True, passwords=["+pass"], keys=["*"], categories=["+@read", "-@write"]
    )

    with pytest.raises(Unreachable, match="no permission"):
        channel("valkey", url={"env": "VALKEY_URL"}).probe()


def test_a_wrong_password_is_told_so(
    valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALKEY_URL", f"valkey://nobody:wrong@127.0.0.1:{valkey_server.port}")

    with pytest.raises(Unreachable, match="user or password"):
        channel("valkey", url={"env": "VALKEY_URL"}).probe()


def test_a_replica_is_told_so(make_valkey_server: MakeValkeyServer) -> None:
    replica = make_valkey_server("--replicaof", "127.0.0.1", str(free_port()))

    with pytest.raises(Unreachable, match="replica"):
        channel("valkey", url=replica.unix_url).probe()


def test_a_key_of_another_type_is_told_so(
    valkey_server: ValkeyServer, stream: valkey.Valkey
) -> None:
    stream.set(STREAM, "something else")

    with pytest.raises(Unreachable, match="refuses the command"):
        channel("valkey", url=valkey_server.url).send(an_alert())


def test_a_full_server_is_told_so(make_valkey_server: MakeValkeyServer) -> None:
    full = make_valkey_server("--maxmemory", "1", "--maxmemory-policy", "noeviction")

    with pytest.raises(Unreachable, match="out of memory"):
        channel("valkey", url=full.unix_url).probe()


def test_a_server_that_comes_back_is_found_again(make_valkey_server: MakeValkeyServer) -> None:
    server = make_valkey_server()
    writer = channel("valkey", url=server.unix_url)
    writer.send(an_alert())
    server.stop()
    with pytest.raises(Unreachable):
        writer.send(an_alert())

    server.restart()
    writer.send(an_alert())


# ── TLS ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_the_stream_is_reached_with_tls_and_a_client_certificate(
    valkey_server: ValkeyServer, stream: valkey.Valkey, authority: Authority
) -> None:
    server, client = authority.issue("127.0.0.1"), authority.issue("alerts")
    with tls_proxy(server, valkey_server.port, client_authority=authority.file) as port:
        channel(
            "valkey",
            url=f"valkeys://127.0.0.1:{port}",
            ca=authority.file,
            certificate=client.certificate,
            key=client.key,
        ).send(an_alert())

        with pytest.raises(Unreachable):
            channel("valkey", url=f"valkeys://127.0.0.1:{port}", ca=authority.file).send(an_alert())

    assert stream.xlen(STREAM) == 1


def test_a_certificate_has_to_be_trusted_and_carry_the_expected_name(
    valkey_server: ValkeyServer, stream: valkey.Valkey, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    with tls_proxy(authority.issue("valkey.example"), valkey_server.port) as port:
        url = f"valkeys://127.0.0.1:{port}"
        for settings in (
            {},
            {"ca": authority.file},
            {"ca": other.file, "server_name": "valkey.example"},
            {"ca": authority.file, "server_name": "other.example"},
        ):
            with pytest.raises(Unreachable, match="TLS"):
                channel("valkey", url=url, **settings).probe()
        channel("valkey", url=url, ca=authority.file, server_name="valkey.example").probe()

    assert stream.keys() == []


def test_tls_is_never_left_out_by_accident() -> None:
    with pytest.raises(ConfigError, match="without TLS"):
        channel("valkey", url="valkey://valkey.invalid").probe()


@pytest.mark.parametrize(
    "url",
    [
        "valkey://user:open@localhost",
        "valkeys://localhost?ssl_cert_reqs=none",
        "http://localhost",
        "valkey://localhost:port",
        "valkey:///0",
        "valkey://localhost/zero",
        "unix://",
    ],
)
def test_a_url_that_cannot_be_right_is_refused_when_the_configuration_is_read(url: str) -> None:
    with pytest.raises(ValidationError):
        channel("valkey", url=url)


# ── mail and chat ───────────────────────────────────────────────────────────────────────────────


def test_a_mail_arrives_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    with smtp_receiver() as receiver:
        monkeypatch.setenv(
            "MAIL_URL",
            f"mailto://127.0.0.1:{receiver.port}?from=backup@example.org&to=ops@example.org",
        )
        channel("apprise", url={"env": "MAIL_URL"}).send(an_alert(reason="1 < 2 & 3"))

    (mail,) = receiver.mails
    assert mail["Subject"] == "FAILED nightly/orders: integrity"
    assert mail["To"] == "ops@example.org"
    body = mail.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    assert "1 < 2 & 3" in lines
    assert "Last good: 2026-02-27 12:00:00 UTC" in lines


def test_a_refused_mail_is_not_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    with smtp_receiver() as receiver:
        receiver.refuse = True
        monkeypatch.setenv(
            "MAIL_URL",
            f"mailto://127.0.0.1:{receiver.port}?from=backup@example.org&to=ops@example.org",
        )
        with pytest.raises(Unreachable):
            channel("apprise", url={"env": "MAIL_URL"}).send(an_alert())


def test_a_service_that_answers_with_an_error_did_not_take_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with http_receiver() as receiver:
        receiver.status = 503
        monkeypatch.setenv("CHAT_URL", f"json://127.0.0.1:{receiver.port}")
        with pytest.raises(Unreachable):
            channel("apprise", url={"env": "CHAT_URL"}).send(an_alert())
