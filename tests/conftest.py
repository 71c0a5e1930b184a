"""Fixtures for all tests; each area brings its own as a plugin module."""

from __future__ import annotations

pytest_plugins = [
    "pytester",
    "tests.harness.leaks",
    "tests.harness.profiles",
    "tests.harness.skips",
    "tests.harness.postgres",
    "tests.harness.site",
    "tests.harness.plain_backups",
    "tests.harness.valkey",
    "tests.harness.fault_site",
    "tests.harness.ordinary_user",
    "tests.harness.sandboxes",
    "tests.harness.verifiers",
    "tests.harness.scanner_tools",
    "tests.harness.engine",
    "tests.harness.images",
    "tests.harness.stack",
]
