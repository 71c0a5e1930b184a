"""How each tool's levels become ours: one table, for people and for tests.

The words of a tool that are not in its table are unknown, and so block until somebody looks.
"""

from __future__ import annotations

from collections.abc import Mapping

from hardening.model import Severity
from hardening.scanners import (
    bandit,
    check_jsonschema,
    compose_lint,
    hadolint,
    trivy_report,
    zizmor,
)

TABLES: Mapping[str, Mapping[str, Severity]] = {
    "actionlint": {
        "(untrusted input in a script)": Severity.HIGH,
        "(all others)": Severity.MEDIUM,
    },
    "bandit": bandit.LEVELS,
    "check-jsonschema": {f"({name})": level for name, level in check_jsonschema.SCHEMAS.items()},
    "compose-lint": compose_lint.LEVELS,
    "hadolint": hadolint.LEVELS,
    "pip-audit": {"(it has none)": Severity.UNKNOWN},
    "trivy": trivy_report.LEVELS,
    "zizmor": zizmor.LEVELS,
}
"""Tool → its own word → ours; in brackets what is no word of the tool."""
