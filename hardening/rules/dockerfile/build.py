"""One Dockerfile, read and evaluated: what the checks look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hardening.rules.dockerfile.stages import Stage, Step, evaluate, lineage
from hardening.rules.dockerfile.syntax import Dockerfile, parse
from hardening.rules.dockerfile.words import Value
from hardening.rules.options import Options


@dataclass(frozen=True, slots=True)
class Build:
    """A Dockerfile and what it comes to.

    Attributes:
        file: as written.
        stages: all of them.
        target: the one whose image is used.
        options: settings of the rules.
    """

    file: Dockerfile
    stages: tuple[Stage, ...]
    target: Stage
    options: Options

    @property
    def lineage(self) -> tuple[Stage, ...]:
        """The stages that the target's image consists of, the lowest first."""
        return lineage(self.stages, self.target)

    def steps(self) -> Iterator[tuple[Stage, Step]]:
        """All instructions that the target's image consists of, in order."""
        for stage in self.lineage:
            for step in stage.steps:
                yield stage, step

    def is_image(self, stage: Stage) -> bool:
        """Whether a stage starts from an image, not from another stage or from nothing."""
        return stage.parent is None and stage.base.text.lower() != "scratch"

    def user(self) -> Value | None:
        """The user that the image runs as; None where only the base image knows.

        The empty string is root: ``scratch`` without ``USER``. A variable that nobody sets here may
        be one of the base image's: ``USER $NB_UID`` counts as its user, where that is known.
        """
        named = self.target.user
        has_base = self.target.image.text.lower() != "scratch"
        if named is None and not has_base:
            return Value("", self.lineage[0].line)
        if named is not None and (named.text or not named.missing or not has_base):
            return named
        return self._base_user() or named

    def _base_user(self) -> Value | None:
        image = self.target.image
        reference = image.text.partition("@")[0]
        for pattern, user in self.options.base_users.items():
            if image.is_certain and fnmatchcase(reference, pattern):
                return Value(user, self.lineage[0].line)
        return None


def read(raw: bytes, options: Options, target: str = "") -> Build:
    """A Dockerfile, evaluated.

    Args:
        raw: its bytes.
        options: settings of the rules.
        target: name or number of the stage that is built; the last one by default.

    Raises:
        Inconclusive: the builder would refuse it, it has no such stage, or it is too large.
    """
    from restoreproof.errors import Inconclusive

    file = parse(raw, options.limits)
    stages = evaluate(file, options.build_args)
    if not target:
        return Build(file, stages, stages[-1], options)
    for stage in reversed(stages):
        if target.lower() == stage.name or target == str(stage.number):
            return Build(file, stages, stage, options)
    raise Inconclusive("it has no stage of the name that the build asks for")


def is_root(user: str) -> bool:
    """Whether ``user[:group]`` is root: by name, by number in any spelling, or by being empty."""
    name = user.partition(":")[0].strip()
    if name in ("", "root"):
        return True
    try:
        return name.isascii() and int(name) == 0
    except ValueError:
        return False
