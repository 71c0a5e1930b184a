"""All rules of our own, by id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hardening.rules.rule import Rule
from hardening.rules.texts import context, dockerfile, image, running

RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.id: rule for rule in (*dockerfile.RULES, *context.RULES, *running.RULES, *image.RULES)}
)
