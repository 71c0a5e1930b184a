"""The tasks of this repository, for Invoke."""

from __future__ import annotations

from restoreproof_cli.tasks import namespace

ns = namespace()
