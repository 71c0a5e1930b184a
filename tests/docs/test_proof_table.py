"""The table of detection rates in docs/PROOF.md names what the checks know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backup_lib.services.plain_files import PlainKind
from tests.harness.plain_specimens import SPECIMENS

PROOF = Path(__file__).parents[2] / "docs" / "PROOF.md"


@pytest.mark.parametrize("name", SPECIMENS)
def test_every_kind_of_plain_file_has_a_measured_rate(name: str) -> None:
    table = PROOF.read_text().partition("plain files: begin")[2]
    (row,) = re.findall(rf"^\| {re.escape(name)} \|.*\|$", table, re.MULTILINE)
    *_, failed, inconclusive, harmless, missed, rate = row.strip("| ").split(" | ")
    flips = sum(map(int, (failed, inconclusive, harmless, missed)))
    assert flips >= 200
    assert rate == f"{1 - int(missed) / (flips - int(harmless)):.1%}"


def test_every_kind_that_is_checked_is_measured() -> None:
    measured = {specimen.kind for specimen in SPECIMENS.values()}
    assert measured == set(PlainKind) - {PlainKind.COMPRESSED, PlainKind.UNKNOWN}
