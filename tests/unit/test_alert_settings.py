from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from backup_lib.config import load
from restoreproof.errors import ConfigError

SET = """
[set.nightly]
stores = ["orders"]
destination = "here"
{more}

[store.orders]
kind = "postgres"
dsn = {{ env = "ORDERS_DSN" }}

[destination.here]
kind = "local"
path = "backups"

[alert.dashboard]
kind = "valkey"
url = "unix:///run/valkey.sock"

[alert.pager]
kind = "apprise"
url = {{ env = "PAGER_URL" }}
"""


def written(folder: Path, more: str) -> Path:
    path = folder / "restoreproof.toml"
    path.write_text(SET.format(more=more))
    return path


def test_a_set_names_its_channels_in_order(tmp_path: Path) -> None:
    more = 'alerts = ["pager", "dashboard"]\nalert_route = "fallback"\nremind_after = "6h"'
    chosen = load(written(tmp_path, more)).set("nightly")

    assert chosen.alerts == ("pager", "dashboard")
    assert chosen.alert_route == "fallback"
    assert chosen.remind_after == timedelta(hours=6)


def test_an_unknown_channel_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dashbord") as caught:
        load(written(tmp_path, 'alerts = ["dashbord"]'))
    assert "dashboard" in str(caught.value) + caught.value.hint
