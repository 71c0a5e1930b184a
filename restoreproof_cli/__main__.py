"""``python -m restoreproof_cli``."""

from __future__ import annotations

from restoreproof_cli.main import main

main()
