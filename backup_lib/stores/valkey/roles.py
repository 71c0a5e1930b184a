"""What the artifacts of a backup are to its restore."""

from __future__ import annotations

DATA_ROLE = "data"
"""The RDB file."""
LOG_BASE_ROLE = "aof-base"
LOG_INCREMENT_ROLE = "aof-increment"
LOG_MANIFEST_ROLE = "aof-manifest"
USERS_ROLE = "users"

LOG_FORMAT = "aof"
"""The detail ``format`` of a backup that is an append-only file."""
