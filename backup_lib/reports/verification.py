"""A verification drawn for the terminal: one line a rung, then what is not proven."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from backup_lib.model import Rung, RungResult, SetVerification, StoreVerification
from backup_lib.reports.marks import mark, verdict_word
from restoreproof.reporters.text import plain
from restoreproof.verdict import Verdict

SHOWN = 8
"""How many unproven items are named here; the JSON document has them all."""


def render_verifications(results: Sequence[SetVerification]) -> RenderableType:
    """Several sets, one below the other."""
    return Group(*(render_verification(result) for result in results))


def render_verification(result: SetVerification) -> RenderableType:
    """One set: a heading, the rungs of each store, notes."""
    heading = Text.assemble(
        (plain(result.set_name), "bold"), "  ", (plain(result.set_id or "no backup"), "cyan"), "  "
    )
    heading.append_text(verdict_word(result.verdict))
    parts: list[RenderableType] = [heading]
    parts += [_store(store) for store in result.stores]
    parts += [Text(f"  note: {plain(note)}", "dim") for note in result.notes]
    if result.proof:
        parts.append(Text(f"  proof: {plain(result.proof)}", "dim"))
    if result.depth is not Rung.ASSERTIONS and result.verdict is Verdict.PASSED:
        parts.append(
            Text(f"  looked up to {result.depth} only: the rungs above are not judged", "yellow")
        )
    return Group(*parts)


def _store(store: StoreVerification) -> RenderableType:
    title = Text("  ")
    if store.store:
        title.append(f"{plain(store.store)} ", "bold")
    title.append(f"({plain(store.kind)})" if store.kind else "")
    rungs = Table.grid(padding=(0, 1))
    rungs.add_column(width=5, justify="right")
    rungs.add_column(min_width=10)
    rungs.add_column(overflow="fold")
    rungs.add_column(justify="right", no_wrap=True)
    for rung in store.rungs:
        rungs.add_row(mark(rung.verdict), str(rung.rung), _reason(rung), _seconds(rung))
    parts: list[RenderableType] = [title, rungs] if title.plain.strip() else [rungs]
    unproven = store.comparison.unproven if store.comparison else ()
    for item in unproven[:SHOWN]:
        text = f"      not proven: {plain(item.kind)} {plain(item.name)}: {plain(item.reason)}"
        parts.append(Text(text, "dim"))
    if len(unproven) > SHOWN:
        parts.append(Text(f"      … and {len(unproven) - SHOWN} more, see --json", "dim"))
    return Group(*parts)


def _reason(rung: RungResult) -> Text:
    text = Text(plain(rung.reason))
    if rung.remembered:
        text.append(f" (proven {rung.remembered:%Y-%m-%d %H:%M} UTC, same bytes)", "dim")
    if rung.hint and rung.reached and rung.verdict is not Verdict.PASSED:
        text.append(f"\n→ {plain(rung.hint)}", "yellow")
    return text


def _seconds(rung: RungResult) -> Text:
    return Text(f"{rung.seconds:.1f} s" if rung.seconds >= 0.05 else "", "dim")
