"""The demo's story drawn for the terminal."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from backup_lib.reports.marks import mark, verdict_word
from backup_lib.reports.sets import render_run
from backup_lib.reports.verification import render_verification
from restoreproof.reporters.text import plain
from restoreproof.verdict import Verdict
from restoreproof_cli.demo.story import Story


def render_story(story: Story) -> RenderableType:
    """The backup, its proof, what was done to it and what the verification said."""
    acts = Table.grid(padding=(0, 2))
    for act in story.acts:
        acts.add_row(
            mark(Verdict.PASSED if act.as_expected else Verdict.FAILED),
            act.title,
            verdict_word(act.result.verdict),
            Text(
                "\n".join(f"{rung.rung}: {plain(rung.reason)}" for rung in act.decisive),
                overflow="fold",
            ),
        )
    alerts = Table.grid(padding=(0, 2))
    for told in story.alerts:
        alerts.add_row(
            "recovered" if told.recovered else told.verdict, told.rung, plain(told.reason)
        )
    good = story.verdict is Verdict.PASSED
    first = story.acts[0].result
    end = "all of it is still there" if story.kept else "everything is cleared away again"
    return Group(
        Text(f"{story.flights:,} flights and {story.sessions:,} sessions backed up", "bold"),
        render_run(story.backup),
        Text(),
        Text("proven", "bold"),
        # a path that is gone by now would only mislead
        render_verification(first if story.kept else replace(first, proof="")),
        Text(),
        Text("then damaged, and caught", "bold"),
        acts,
        Text(),
        Text("what the dashboard was told", "bold"),
        alerts,
        Text(),
        Text.assemble(
            mark(Verdict.PASSED if good else Verdict.FAILED),
            f" {story.seconds:.0f} s; {end}"
            if good
            else " the story did not go as it must: this is a bug, please report it",
        ),
        *map(Text, story.kept),
    )
