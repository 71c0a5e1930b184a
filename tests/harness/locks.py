"""The locks ``requirements/*.txt``: what they were made from, and what they pin."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock, by what of ``pyproject.toml`` it holds.

    Attributes:
        name: of the file.
        extras: of the project.
        groups: dependency groups.
        project: whether it holds what the project itself needs.
    """

    name: str
    extras: tuple[str, ...]
    groups: tuple[str, ...]
    project: bool = True

    @property
    def path(self) -> Path:
        """Where it lies."""
        return ROOT / "requirements" / f"{self.name}.txt"

    def pins(self) -> tuple[Requirement, ...]:
        """What it pins; one package may stand there more than once, for different Pythons."""
        return tuple(
            Requirement(line.removesuffix("\\"))
            for line in self.path.read_text().splitlines()
            if line and not line.startswith(("#", " "))
        )

    def needs(self) -> tuple[Requirement, ...]:
        """The direct requirements that it was made from, extras and groups resolved."""
        project, groups = pyproject()["project"], pyproject()["dependency-groups"]
        own = canonicalize_name(project["name"])

        def resolved(lines: list[str]) -> Iterator[Requirement]:
            for requirement in map(Requirement, lines):
                if canonicalize_name(requirement.name) != own:
                    yield requirement
                    continue
                for extra in sorted(requirement.extras):
                    yield from resolved(project["optional-dependencies"][extra])

        def members(group: str) -> Iterator[str]:
            for entry in groups[group]:
                if isinstance(entry, str):
                    yield entry
                else:
                    yield from members(entry["include-group"])

        return (
            *(resolved(project["dependencies"]) if self.project else ()),
            *(need for e in self.extras for need in resolved(project["optional-dependencies"][e])),
            *(need for g in self.groups for need in resolved(list(members(g)))),
        )


def pyproject() -> Mapping[str, Any]:
    """The project's ``pyproject.toml``."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def locks() -> tuple[Lock, ...]:
    """The table ``[tool.restoreproof.locks]``, in its order."""
    table = pyproject()["tool"]["restoreproof"]["locks"]
    return tuple(
        Lock(name, tuple(e["extras"]), tuple(e["groups"]), e.get("project", True))
        for name, e in table.items()
    )
