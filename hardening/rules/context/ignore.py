"""``.dockerignore`` as the builder applies it. The matcher is a port of the builder's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hardening.rules.files import read_bounded
from hardening.rules.options import Limits
from restoreproof.errors import Inconclusive

if TYPE_CHECKING:
    from e2b_dockerfile_utils import PatternMatcher

_MOST_PATTERNS = 1_000
_LONGEST_PATTERN = 1_024
_ODD_ESCAPE = re.compile(r"\\[A-Za-z0-9]")
"""The builder hands it to a regular expression, where it means a bell, a digit, a word's end."""
_WILDCARDS = re.compile(r"\*+")
_MOST_WILDCARDS = 4
"""In one pattern; each costs another power of a name's length, since the matcher backtracks."""


@dataclass(frozen=True)
class Ignore:
    """The patterns in force for one build.

    Attributes:
        path: of the file, or None where there is none.
        text: its content.
    """

    path: Path | None
    text: str

    @cached_property
    def _matcher(self) -> PatternMatcher:
        from e2b_dockerfile_utils import PatternMatcher

        lines = [line.removesuffix("\r") for line in self.text.removeprefix("\ufeff").split("\n")]
        if len(lines) > _MOST_PATTERNS:
            raise Inconclusive(f"it has more than {_MOST_PATTERNS} lines")
        for line in lines:
            if line.startswith("#"):
                continue
            if _ODD_ESCAPE.search(line):
                raise Inconclusive(
                    "it escapes a letter or digit, which the builder takes for something else",
                    hint="leave the backslash out",
                )
            if len(line) > _LONGEST_PATTERN or len(_WILDCARDS.findall(line)) > _MOST_WILDCARDS:
                raise Inconclusive("a pattern in it is too long, or has too many wildcards")
        try:
            return PatternMatcher(lines)
        except (ValueError, RecursionError) as error:
            raise Inconclusive(f"the builder refuses it: {error}") from None

    @cached_property
    def _singles(self) -> tuple[tuple[bool, PatternMatcher], ...]:
        """Each pattern alone, and whether it takes back."""
        from e2b_dockerfile_utils import PatternMatcher

        patterns = self._matcher.patterns
        return tuple((p.startswith("!"), PatternMatcher([p.removeprefix("!")])) for p in patterns)

    def excludes(self, path: str) -> bool:
        """Whether builders leave out a path, relative to the context, with ``/``.

        Engines before 23 let ``!folder`` take back what an earlier pattern keeps out below it,
        later ones do not always: what either takes in is taken in.

        Raises:
            Inconclusive: a pattern is one that the builder refuses, or costs too much.
        """
        if not self._matcher.matches(path):
            return False
        excluded = False
        for takes_back, single in self._singles:
            if takes_back == excluded and single.matches(path):
                excluded = not takes_back
        return excluded

    def may_take_back(self, folder: str) -> bool:
        """Whether something below an excluded folder may be taken back by ``!``."""
        return self._matcher.may_match_under(folder)


def ignore_for(dockerfile: Path, context: Path, root: Path, limits: Limits) -> Ignore:
    """What is in force: ``NAME.dockerignore`` beside the Dockerfile, else that of the context.

    Raises:
        Inconclusive: it cannot be read, or is too large.
    """
    for path in (
        dockerfile.with_name(f"{dockerfile.name}.dockerignore"),
        context / ".dockerignore",
    ):
        if path.is_symlink() or path.exists():
            text = read_bounded(path, root, limits.file_bytes).decode("utf-8", "surrogateescape")
            return Ignore(path, text)
    return Ignore(None, "")
