"""One Compose project: files merged, ``include`` and ``extends`` followed, inside the root only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hardening.rules.compose.interpolate import interpolate, variables
from hardening.rules.compose.nodes import MOST_BYTES, Node, read
from hardening.rules.files import read_bounded, resolved
from hardening.rules.options import Options
from restoreproof.errors import Inconclusive

_MOST_FILES = 50
_DEEPEST = 20
SHARED = ("volumes", "secrets", "configs")
"""What services of all files of a project may use by its name."""

_REPLACED = frozenset(("command", "entrypoint", "test"))
_NAMED = frozenset(("environment", "labels", "args", "sysctls", "extra_hosts"))
_BY_TARGET = frozenset(("volumes", "tmpfs", "secrets", "configs", "devices"))


@dataclass(slots=True)
class Project:
    """What one or several files of a project come to.

    Attributes:
        root: nothing outside of it is read.
        options: settings of the rules.
        services: by name, merged.
        shared: ``volumes``, ``secrets`` and ``configs``, each by name, merged.
        lines: physical lines of every file that was read.
        loaded: the services of every file that was read, so that none is merged twice.
    """

    root: Path
    options: Options
    services: dict[str, Node] = field(default_factory=dict)
    shared: dict[str, dict[str, Node]] = field(
        default_factory=lambda: {kind: {} for kind in SHARED}
    )
    lines: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    _documents: dict[Path, Node] = field(default_factory=dict)
    loaded: dict[Path, dict[str, Node]] = field(default_factory=dict)

    def document(self, path: Path) -> Node:
        """A file's document, variables put in.

        Raises:
            Inconclusive: it cannot be read or understood.
        """
        path = resolved(path)
        if path in self._documents:
            return self._documents[path]
        if len(self._documents) >= _MOST_FILES:
            raise Inconclusive(f"it is made of more than {_MOST_FILES} files")
        raw = read_bounded(path, self.root, min(MOST_BYTES, self.options.limits.file_bytes))
        names = {**self._beside(path.parent), **self.options.environment}
        document = read(raw, path, lambda text: interpolate(text, names), self.options.limits.nodes)
        if document.value is not None and not isinstance(document.value, Mapping):
            raise Inconclusive("it is not a mapping at its top")
        self._documents[path] = document
        self.lines[path] = tuple(raw.decode("utf-8-sig").splitlines())
        return document

    def _beside(self, folder: Path) -> Mapping[str, str]:
        path = folder / ".env"
        if not path.is_file():
            return {}
        try:
            raw = read_bounded(path, self.root, self.options.limits.file_bytes)
        except Inconclusive:
            return {}
        return variables(raw.decode("utf-8", "replace"))


def load(paths: Sequence[Path], root: Path, options: Options) -> Project:
    """The project that Compose makes of these files, later ones over earlier ones.

    Raises:
        Inconclusive: one of them cannot be read or understood.
    """
    project = Project(root, options)
    for path in paths:
        for name, service in _services(project, path, 0).items():
            known = project.services.get(name)
            project.services[name] = merged(known, service) if known else service
    return project


def _services(project: Project, path: Path, depth: int) -> dict[str, Node]:
    if depth > _DEEPEST:
        raise Inconclusive("its includes go round in a circle, or too deep")
    key = resolved(path)
    if key in project.loaded:
        return project.loaded[key]
    document = project.document(path)
    found: dict[str, Node] = {}
    included = document.get("include")
    for entry in included.items if included else ():
        named = entry.get("path") or entry
        for file in named.items:
            found |= _services(project, path.parent / file.text, depth + 1)
    _share(project, document)
    listed = document.get("services")
    if listed is not None and not isinstance(listed.value, Mapping):
        raise Inconclusive(f"line {listed.line}: services is not a mapping")
    for name, service in listed.mapping.items() if listed else ():
        if service.value is not None and not isinstance(service.value, Mapping):
            raise Inconclusive(f"line {service.line}: a service is not a mapping")
        found[name] = _extended(project, path, service, 0)
    project.loaded[key] = found
    return found


def _share(project: Project, document: Node) -> None:
    for kind, known in project.shared.items():
        found = document.get(kind)
        for name, node in found.mapping.items() if found else ():
            known[name] = merged(known[name], node) if name in known else node


def _extended(project: Project, path: Path, service: Node, depth: int) -> Node:
    extends = service.get("extends")
    if extends is None:
        return service
    if depth > _DEEPEST:
        raise Inconclusive("its extends go round in a circle, or too deep")
    named = extends.get("service")
    name = named.text if named else extends.text
    file = extends.get("file")
    other = path.parent / file.text if file else path
    base = project.document(other).get("services", name)
    if base is None:
        raise Inconclusive(f"line {extends.line}: it extends a service that is not there")
    return merged(_extended(project, other, base, depth + 1), service)


def merged(below: Node, above: Node, key: str = "") -> Node:
    """Two values as Compose merges them: mappings by key, lists one after the other."""
    if above.tag == "!reset":
        return Node(None, above.line, above.file)
    if above.tag == "!override" or key in _REPLACED or above.value is None:
        return above if above.value is not None else below
    if key in _NAMED:
        below, above = _as_mapping(below), _as_mapping(above)
    if isinstance(below.value, Mapping) and isinstance(above.value, Mapping):
        items = dict(below.value)
        for name, node in above.value.items():
            items[name] = merged(items[name], node, name) if name in items else node
        return Node(items, above.line, above.file)
    if isinstance(below.value, tuple) and isinstance(above.value, tuple):
        items_below = below.value
        if key in _BY_TARGET:
            targets = {_target(item) for item in above.value}
            items_below = tuple(item for item in below.value if _target(item) not in targets)
        return Node((*items_below, *above.value), above.line, above.file)
    return above


def _as_mapping(node: Node) -> Node:
    """``[A=1]`` as ``{A: 1}``."""
    if not isinstance(node.value, tuple):
        return node
    items: dict[str, Node] = {}
    for item in node.value:
        name, has_value, value = item.text.partition("=")
        items[name] = Node(value if has_value else None, item.line, item.file)
    return Node(items, node.line, node.file)


def _target(item: Node) -> str:
    named = item.get("target")
    if named is not None:
        return named.text
    parts = item.text.split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def environment(service: Node) -> Mapping[str, Node]:
    """A service's variables by name, whichever way they are written."""
    found = service.get("environment")
    return _as_mapping(found).mapping if found else {}
