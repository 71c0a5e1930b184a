"""The truth table in docs/PROOF.md is the one that the fault suite executes."""

from __future__ import annotations

from pathlib import Path

from tests.harness.truth import rendered, rows

PROOF = Path(__file__).parents[2] / "docs" / "PROOF.md"


def test_the_page_shows_the_table_that_is_executed() -> None:
    _, _, rest = PROOF.read_text().partition("<!-- truth table: begin -->\n")
    shown, _, _ = rest.partition("<!-- truth table: end -->")
    assert shown.strip() == rendered(rows()).strip(), "python -m tests.harness.truth prints it"
