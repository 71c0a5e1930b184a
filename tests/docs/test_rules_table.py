"""The table in docs/HARDENING-RULES.md is the catalogue."""

from __future__ import annotations

from hardening.rules.catalogue import RULES
from hardening.rules.rule import Rule
from tests.harness.locks import ROOT


def row(rule: Rule) -> str:
    cells = (rule.id, rule.severity.value, rule.title, rule.fix)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def test_the_table_of_rules_is_the_catalogue() -> None:
    page = (ROOT / "docs" / "HARDENING-RULES.md").read_text()
    table = page.partition("<!-- rules: begin -->")[2].partition("<!-- rules: end -->")[0]
    assert table.strip().split("\n")[2:] == [row(rule) for rule in RULES.values()]


def test_every_rule_is_explained_whole() -> None:
    for rule in RULES.values():
        assert all((rule.title, rule.why, rule.fix, rule.references)), rule.id
