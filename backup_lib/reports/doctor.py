"""The doctor's findings drawn for the terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from backup_lib.reports.marks import mark
from backup_lib.services.doctor import Diagnosis
from restoreproof.reporters.text import plain
from restoreproof.verdict import Verdict


def render_diagnosis(diagnosis: Diagnosis) -> RenderableType:
    """One line a check, with what to do under those that do not pass."""
    table = Table.grid(padding=(0, 1))
    for check in diagnosis.checks:
        text = Text(plain(check.message))
        if check.hint and check.verdict is not Verdict.PASSED:
            text.append(f"\n→ {plain(check.hint)}", "yellow")
        table.add_row(mark(check.verdict), check.area, plain(check.name), text)
    return table
