"""Fixtures for all tests; each area brings its own as a plugin module."""

from __future__ import annotations

pytest_plugins = ["tests.harness.postgres"]
