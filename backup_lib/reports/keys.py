"""Keys drawn for the terminal: what they may do, and their one-line text for copying."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from backup_lib.services.keys import KeyEntry


def render_keys(entries: Sequence[KeyEntry]) -> RenderableType:
    """Two lines a key."""
    if not entries:
        return Text("no keys yet: inv backup.keys --make")
    return Group(*(line for entry in entries for line in _lines(entry)))


def _lines(entry: KeyEntry) -> tuple[Text, Text]:
    can = [word for word, held in (("signs", entry.signs), ("trusted", entry.trusted)) if held] or [
        "not trusted"
    ]
    head = Text.assemble((entry.key_id[:16], "cyan"), f"  {', '.join(can)}")
    return head, Text(f"  {entry.public}", "dim", no_wrap=True)
