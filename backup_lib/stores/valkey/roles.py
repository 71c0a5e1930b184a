"""What the artifacts of a backup are to its restore."""

from __future__ import annotations

DATA_ROLE = "data"
USERS_ROLE = "users"
