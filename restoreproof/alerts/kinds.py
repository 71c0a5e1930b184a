"""The kinds of alert channels."""

from __future__ import annotations

from restoreproof.alerts.channel import ChannelPlugin
from restoreproof.kinds import Kinds

CHANNELS: Kinds[ChannelPlugin] = Kinds(
    group="restoreproof.alerts",
    noun="alert channel",
    builtin={
        "apprise": "restoreproof.alerts.apprise:AppriseChannel",
        "valkey": "restoreproof.alerts.valkey:ValkeyChannel",
    },
    extra={"apprise": "alerts", "valkey": "alerts"},
)
