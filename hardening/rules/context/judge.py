"""Which sensitive files of a build context ``COPY`` and ``ADD`` would take in: RP-X001, RP-X002."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from hardening.peeking import peek
from hardening.rules.context.ignore import Ignore, ignore_for
from hardening.rules.context.sensitive import PEEK, sensitive, sensitive_folder
from hardening.rules.dockerfile.build import Build
from hardening.rules.files import entries, resolved
from hardening.rules.options import Limits
from hardening.rules.rule import Found
from restoreproof.errors import Inconclusive

_MOST_STARS = 8


@dataclass(frozen=True, slots=True)
class Source:
    """What one ``COPY`` or ``ADD`` takes out of the context.

    Attributes:
        path: relative to the context, cleaned; ``.`` for all of it; may hold wildcards.
        line: of the source in the Dockerfile.
        stage: that it is copied into.
    """

    path: str
    line: int
    stage: str

    def takes(self, path: str) -> bool:
        """Whether a file or folder is taken in: it, or a folder that it is in, is named."""
        if self.path == ".":
            return True
        wanted, parts = self.path.split("/"), path.split("/")
        return len(parts) >= len(wanted) and all(
            _matches(part, pattern) for part, pattern in zip(parts, wanted, strict=False)
        )

    def may_take_below(self, folder: str) -> bool:
        """Whether anything in a folder is taken in."""
        if self.path == ".":
            return True
        pairs = zip(folder.split("/"), self.path.split("/"), strict=False)
        return all(_matches(part, pattern) for part, pattern in pairs)


def sources(build: Build) -> Iterator[Source]:
    """What all stages take out of the context."""
    for stage in build.stages:
        for step in stage.steps:
            if step.instruction.name not in ("COPY", "ADD") or "from" in step.flags:
                continue
            for source in step.args[:-1]:
                text = source.text
                if text.startswith(("<<", "git@")) or "://" in text:
                    continue
                line = build.file.line_of(step.instruction, text)
                yield Source(_clean(text), line, stage.shown)


def find_context(build: Build, dockerfile: Path, root: Path) -> Path:
    """The nearest folder, from the Dockerfile's own upwards, that has every source.

    Raises:
        Inconclusive: there is none below the root.
    """
    literal = [s.path for s in sources(build) if not any(char in s.path for char in "*?[\\")]
    folder = dockerfile.parent
    while True:
        if all(_exists(folder / path) for path in literal):
            return folder
        if folder == root or root not in folder.parents:
            break
        folder = folder.parent
    missing = next(path for path in literal if not _exists(dockerfile.parent / path))
    raise Inconclusive(
        f"its build context was not found: {missing} is in no folder above it",
        hint="name the context in the option contexts",
    )


def judge(build: Build, dockerfile: Path, context: Path | None, root: Path) -> Iterator[Found]:
    """What is wrong with the context of one Dockerfile; None where it is a repository elsewhere.

    Raises:
        Inconclusive: it lies elsewhere, is too large, or its ignore file cannot be judged.
    """
    taken = list(sources(build))
    if not taken:
        return
    if context is None or not resolved(context).is_relative_to(root.resolve()):
        raise Inconclusive("its build context lies outside of what is scanned")
    ignore = ignore_for(dockerfile, context, root, build.options.limits)
    whole = next((source for source in taken if source.path == "."), None)
    if whole and ignore.path is None:
        yield Found("RP-X002", "COPY . without .dockerignore", whole.line, whole.stage)
    for path, kind in _sensitive(context, taken, ignore, build.options.limits):
        source = next(source for source in taken if source.takes(path))
        yield Found("RP-X001", path, source.line, path, f"{path} ({kind})")


def _sensitive(
    context: Path, taken: list[Source], ignore: Ignore, limits: Limits
) -> Iterator[tuple[str, str]]:
    """Paths and kinds; of a sensitive folder only the folder."""
    waiting = [""]
    seen = 0
    until = time.monotonic() + limits.context_seconds
    while waiting:
        folder = waiting.pop()
        for entry in entries(context / folder):
            seen += 1
            if seen > limits.context_entries:
                raise Inconclusive(
                    f"its build context has more than {limits.context_entries} entries",
                    hint="leave folders such as node_modules out by .dockerignore",
                )
            if time.monotonic() > until:
                raise Inconclusive(
                    f"its build context takes more than {limits.context_seconds:g} s to read",
                    hint="leave folders such as node_modules out by .dockerignore",
                )
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not any(source.may_take_below(path) for source in taken):
                    continue
                excluded = ignore.excludes(path)
                kind = sensitive_folder(entry.name)
                if kind and not excluded and any(source.takes(path) for source in taken):
                    yield path, kind
                elif not excluded or ignore.may_take_back(path):
                    waiting.append(path)
                continue
            kind = sensitive(path, partial(peek, context / path, PEEK))
            if kind and any(s.takes(path) for s in taken) and not ignore.excludes(path):
                yield path, kind


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _clean(text: str) -> str:
    """As the builder does: relative to the context, and never out of it."""
    return posixpath.normpath(f"/{text}").lstrip("/") or "."


def _matches(part: str, pattern: str) -> bool:
    """As the builder's wildcards over one component: ``*``, ``?``, ``[a-z]``, ``[^a]``."""
    if not any(char in pattern for char in "*?["):
        return part == pattern.replace("\\", "")
    if pattern.count("*") > _MOST_STARS:
        return True  # too costly to tell: what may be taken is taken
    return fnmatchcase(part, pattern.replace("[^", "[!"))
