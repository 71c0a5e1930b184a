"""The page on hardening says what the code says."""

from __future__ import annotations

import re

from hardening.kinds import SCANNERS
from hardening.scanners.severities import TABLES
from tests.harness.locks import ROOT

PAGE = (ROOT / "docs" / "HARDENING.md").read_text()


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_kind_is_on_the_page() -> None:
    assert {row[0].strip("`") for row in rows("Scanners")} == set(SCANNERS.names())


def test_the_table_of_severities_is_the_one_in_the_code() -> None:
    told: dict[str, dict[str, str]] = {}
    for tool, words, ours in rows("Severities"):
        if words == "none":
            told.setdefault(tool, {})
            continue
        named = [word.lower() for word in words.split(", ")]
        levels = named if ours == "the same" else ours.split(", ")
        told.setdefault(tool, {}).update(zip(named, levels, strict=True))
    assert set(told) == set(TABLES)
    for tool, table in TABLES.items():
        coded = {word: str(level) for word, level in table.items() if not word.startswith("(")}
        assert told[tool] == coded


def test_the_page_names_the_supported_versions() -> None:
    told = {row[0].strip("`"): row[2] for row in rows("Scanners")}
    assert told.pop("restoreproof") == "this one"
    for kind, text in told.items():
        supported = vars(SCANNERS.load(kind))["supported"]
        found = re.fullmatch(r"([\d.]+) to below ([\d.]+)", text)
        assert found
        assert str(supported) == f">={found[1]},<{found[2]}"
