"""The kinds of scanners."""

from __future__ import annotations

from hardening.scanners.base import ScannerPlugin
from restoreproof.kinds import Kinds

SCANNERS: Kinds[ScannerPlugin] = Kinds(
    group="restoreproof.scanners",
    builtin={
        "actionlint": "hardening.scanners.actionlint:Actionlint",
        "bandit": "hardening.scanners.bandit:Bandit",
        "check-jsonschema": "hardening.scanners.check_jsonschema:CheckJsonschema",
        "compose-lint": "hardening.scanners.compose_lint:ComposeLint",
        "hadolint": "hardening.scanners.hadolint:Hadolint",
        "pip-audit": "hardening.scanners.pip_audit:PipAudit",
        "restoreproof": "hardening.services.own_rules:OwnRules",
        "trivy": "hardening.scanners.trivy:Trivy",
        "zizmor": "hardening.scanners.zizmor:Zizmor",
    },
)
