"""YAML with lines: read without building objects, anchors shared instead of copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from restoreproof.errors import Inconclusive

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 256 << 10
"""Of one Compose file: the parser in plain Python takes a second for each 80 kB."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: a scalar's text (None for null), a mapping, or a list.
        line: from 1.
        file: that the line counts in.
        tag: ``!reset``, ``!override``, or empty.
    """

    value: str | Mapping[str, Node] | tuple[Node, ...] | None
    line: int
    file: Path
    tag: str = ""

    @property
    def mapping(self) -> Mapping[str, Node]:
        """Its items; none where it is no mapping."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """Its elements; a lone scalar counts as a list of one."""
        if isinstance(self.value, tuple):
            return self.value
        return (self,) if isinstance(self.value, str) else ()

    @property
    def text(self) -> str:
        """Its text; empty where it is no scalar."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def is_true(self) -> bool:
        """Whether it says yes."""
        return self.text.lower() in ("true", "yes", "on", "y", "1")

    def get(self, *keys: str) -> Node | None:
        """What lies below, key by key; None where there is nothing, or null."""
        node: Node | None = self
        for key in keys:
            node = node.mapping.get(key) if node else None
        return node if node is not None and node.value is not None else None


Interpolate = Callable[[str], str]


@dataclass(slots=True)
class _Reading:
    file: Path
    interpolate: Interpolate
    budget: int
    done: dict[int, Node] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise Inconclusive("it grows too large when its anchors are expanded")

    def node(self, found: yaml.Node) -> Node:
        known = self.done.get(id(found))
        if known is not None:
            return known
        if id(found) in self.open:
            raise Inconclusive("an anchor in it contains itself")
        self.open.add(id(found))
        self.spend(1)
        node = self._made(found)
        self.open.discard(id(found))
        self.done[id(found)] = node
        return node

    def _made(self, found: yaml.Node) -> Node:
        import yaml

        line = found.start_mark.line + 1
        tag = found.tag if found.tag in ("!reset", "!override") else ""
        value: object = found.value
        if isinstance(value, str):
            if found.tag == "tag:yaml.org,2002:null":
                return Node(None, line, self.file, tag)
            return Node(self.interpolate(value), line, self.file, tag)
        pairs = list(found.value)
        if pairs and not isinstance(pairs[0], tuple):
            return Node(tuple(self.node(item) for item in pairs), line, self.file, tag)
        if not pairs and isinstance(found, yaml.SequenceNode):
            return Node((), line, self.file, tag)
        return Node(self._mapping(pairs), line, self.file, tag)

    def _mapping(self, pairs: list[tuple[yaml.Node, yaml.Node]]) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, found in pairs:
            if not isinstance(key.value, str):
                raise Inconclusive(f"line {key.start_mark.line + 1}: a key is not a name")
            node = self.node(found)
            if key.value != "<<":
                own[key.value] = _keyed(node, key.start_mark.line + 1)
                continue
            for source in reversed(node.items if isinstance(node.value, tuple) else (node,)):
                self.spend(len(source.mapping))
                merged |= source.mapping
        return merged | own


def _keyed(node: Node, line: int) -> Node:
    """A value that stands below its key, such as a mapping, is looked for at the key."""
    if isinstance(node.value, str) or node.line == line:
        return node
    return Node(node.value, line, node.file, node.tag)


def read(raw: bytes, file: Path, interpolate: Interpolate, budget: int) -> Node:
    """The document in a file.

    Args:
        raw: its bytes.
        file: for lines.
        interpolate: applied to every scalar that is not a key.
        budget: nodes, and items that merge keys bring in.

    Raises:
        Inconclusive: it is no YAML, holds several documents, is too deep or grows too large.
    """
    import yaml

    try:
        loader = yaml.SafeLoader(raw.decode("utf-8-sig"))
        found = loader.get_single_node()
        if found is None:
            return Node(None, 1, file)
        return _Reading(file, interpolate, budget).node(found)
    except UnicodeDecodeError:
        raise Inconclusive("it is not text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise Inconclusive(f"it is not YAML: {where}{error.problem}") from None
    except yaml.YAMLError as error:
        raise Inconclusive(f"it is not YAML: {error}") from None
    except RecursionError:
        raise Inconclusive("it is nested too deeply") from None
