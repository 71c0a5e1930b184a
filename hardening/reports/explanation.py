"""An explanation drawn for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from hardening.services.explain import Explanation
from restoreproof.reporters.text import plain


def render_explanation(found: Explanation) -> RenderableType:
    """Name, what it says, why, how to mend it, where to read more."""
    return Group(*_lines(found))


def _lines(found: Explanation) -> Iterator[Text]:
    yield Text.assemble((plain(found.rule), "bold"), f"  {plain(found.title)}")
    if found.names:
        yield Text(f"said by: {plain(', '.join(found.names))}", "dim")
    if found.also:
        yield Text(f"also known as: {plain(', '.join(found.also))}", "dim")
    if found.why:
        yield Text(f"why: {plain(found.why)}")
    if found.fix:
        yield Text(f"→ {plain(found.fix)}", "green")
    for reference in found.references:
        yield Text(plain(reference), "cyan")
