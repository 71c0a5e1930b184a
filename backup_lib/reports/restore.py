"""A restore drawn for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from backup_lib.reports.marks import mark
from backup_lib.services.restore import RestoreOutcome
from restoreproof.reporters.text import plain
from restoreproof.verdict import Verdict


def render_restore(outcome: RestoreOutcome) -> RenderableType:
    """What was restored where, and whether it equals the source."""
    lines = [
        Text.assemble(
            mark(Verdict.PASSED),
            " restored ",
            (plain(outcome.store), "bold"),
            f" of {outcome.set_id} into {plain(outcome.place)} on the server of "
            f"{plain(outcome.into)} in {outcome.seconds:.1f} s",
        )
    ]
    if outcome.content:
        lines.append(
            Text.assemble(
                mark(outcome.content.verdict), f" content: {plain(outcome.content.reason)}"
            )
        )
    else:
        lines.append(Text(f"? content: not compared: {outcome.not_compared}", "yellow"))
    lines += [Text(f"  note: {plain(note)}", "dim") for note in outcome.restored.notes]
    return Group(*lines)
