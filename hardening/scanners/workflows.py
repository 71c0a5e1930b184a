"""What the scanners of GitHub workflows have in common: which files there are."""

from __future__ import annotations

from pathlib import Path

from hardening.scanners.files import files_below
from restoreproof.config.model import Settings


class WorkflowSettings(Settings):
    """``[scanner.NAME]`` of a kind that reads workflows."""

    paths: tuple[str, ...] = (".github/workflows",)
    """Files and folders, relative to the root; in folders, ``*.yml`` and ``*.yaml``."""


def workflows_below(root: Path, paths: tuple[str, ...]) -> tuple[str, ...]:
    """The workflows, relative to ``root``."""
    return files_below(root, lambda path: path.suffix in {".yml", ".yaml"}, paths)
