"""The commands of a document: fenced ``sh`` blocks, in order.

The words after ``sh`` say what a block needs and how it ends: ``sh postgres exit=1``. A block with
the word ``by-hand`` is for people only (it would change the machine) and says so to the reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

SERVERS = frozenset({"postgres", "valkey"})


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its first line in the document, needed servers, expected exit code."""

    line: int
    script: str
    servers: frozenset[str]
    exit_code: int
    by_hand: bool


def blocks(document: Path) -> list[Block]:
    found = []
    for token in MarkdownIt().parse(document.read_text(encoding="utf-8")):
        if token.type != "fence" or token.info.split()[:1] != ["sh"]:
            continue
        words = token.info.split()[1:]
        exits = [int(word.removeprefix("exit=")) for word in words if word.startswith("exit=")]
        servers = frozenset(word for word in words if word in SERVERS)
        known = servers | {"by-hand"} | {f"exit={code}" for code in exits}
        assert set(words) <= known, f"{document.name}: unknown words in {token.info!r}"
        assert token.map is not None
        found.append(
            Block(
                line=token.map[0] + 1,
                script=token.content,
                servers=servers,
                exit_code=exits[0] if exits else 0,
                by_hand="by-hand" in words,
            )
        )
    return found
