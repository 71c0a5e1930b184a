"""docs/ALERTS.md says what the channels do."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from restoreproof.alerts.kinds import CHANNELS
from restoreproof.alerts.model import Heartbeat
from restoreproof.verdict import Verdict
from tests.harness.alert_channels import NOON, an_alert, channel
from tests.harness.valkey import ValkeyServer

PAGE = (Path(__file__).parents[2] / "docs" / "ALERTS.md").read_text()
STREAM = "restoreproof:alerts"


def test_the_example_is_valid() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    for table in tomllib.loads(example)["alert"].values():
        kind = table.pop("kind")
        CHANNELS.load(kind).settings().model_validate(table)


def test_every_kind_has_a_section() -> None:
    assert set(re.findall(r"^## `(\w+)`", PAGE, re.MULTILINE)) == set(CHANNELS.names())


def test_the_documented_rights_are_enough_and_no_more(valkey_server: ValkeyServer) -> None:
    (line,) = re.findall(r"^ACL SETUSER .*$", PAGE, re.MULTILINE)
    with valkey_server.client() as client:
        # the user may do only this; the password is checked elsewhere
        words = line.replace(">PASSWORD", "nopass").split()
        client.execute_command(*words)
        writer = channel("valkey", url=valkey_server.url.replace("//", "//alerts@"))
        writer.probe()
        writer.send(an_alert())
        writer.beat(Heartbeat("nightly", "orders", Verdict.PASSED, NOON, NOON, "db1"))
        described = client.acl_getuser("alerts")
        client.acl_deluser("alerts")
        fields = client.hkeys(f"{STREAM}:status:nightly/orders")
        ((_, entry),) = client.xrange(STREAM)

    assert isinstance(described, dict)
    assert set(described["commands"]) == {"+xadd", "+hset", "+ping"}
    table = re.findall(r"^\| (`.*?`) \| ", PAGE, re.MULTILINE)
    assert {name for row in table for name in re.findall(r"`(\w+)`", row)} == set(entry)
    assert all(f"`{field}`" in PAGE for field in fields)
