"""How much work the tests do: ``RESTOREPROOF_PROFILE=quick`` (the default) or ``full``."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

_EXAMPLES = {"quick": 50, "full": 2000}


def profile() -> str:
    """The profile asked for.

    Raises:
        pytest.UsageError: it is neither ``quick`` nor ``full``.
    """
    name = os.environ.get("RESTOREPROOF_PROFILE", "quick")
    if name not in _EXAMPLES:
        raise pytest.UsageError(f"RESTOREPROOF_PROFILE is {name!r}; it is one of {[*_EXAMPLES]}")
    return name


def pytest_configure() -> None:
    """Load the Hypothesis profile; no deadline, since two cores are shared with real servers."""
    for name, examples in _EXAMPLES.items():
        settings.register_profile(
            name,
            max_examples=examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            print_blob=True,
        )
    settings.load_profile(profile())
