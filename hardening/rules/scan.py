"""Scans of whole trees: finds Dockerfiles and Compose files, and applies the rules to each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hardening.model import Scan
from hardening.recognise import is_compose, is_dockerfile
from hardening.rules.compose.scan import scan_into, scan_together
from hardening.rules.compose.service import BuildPlan
from hardening.rules.context.judge import find_context
from hardening.rules.context.judge import judge as judge_context
from hardening.rules.dockerfile.build import Build, read
from hardening.rules.dockerfile.judge import judge as judge_dockerfile
from hardening.rules.files import read_bounded, relative
from hardening.rules.options import Options
from hardening.rules.sheet import Sheet
from restoreproof.errors import Inconclusive, UsageError


def scan_files(root: Path, options: Options | None = None) -> Scan:
    """All Dockerfiles with their build contexts, and all Compose files, below a folder.

    Args:
        root: the folder, or one file.
        options: settings of the rules.

    Raises:
        UsageError: there is nothing at that path.
    """
    options = options or Options()
    if not root.exists():
        raise UsageError(f"there is nothing at {root}")
    sheet = Sheet()
    if root.is_file():
        paths, root = [root], root.parent
    else:
        paths = list(discover(root, options, sheet))
    composed = [path for path in paths if is_compose(path)]
    builds = scan_into(sheet, root, composed, options)
    for path in (*paths, *_named_otherwise(root, paths, builds)):
        if path not in composed:
            contexts = [one.context for one in builds if one.dockerfile == path and one.context]
            scan_dockerfile(sheet, root, path, options, contexts)
    return sheet.scan()


def _named_otherwise(root: Path, paths: Sequence[Path], builds: Iterable[BuildPlan]) -> list[Path]:
    """Dockerfiles that a Compose file names and that were not found by their own names.

    Those that lie elsewhere or are not there are among them: they are told as gaps.
    """
    top, known = root.resolve(), {Path(os.path.realpath(path)) for path in paths}
    built = {build.dockerfile for build in builds if build.dockerfile is not None}
    return sorted(
        root / path.relative_to(top) if path.is_relative_to(top) else path for path in built - known
    )


def scan_compose(
    paths: Sequence[Path], options: Options | None = None, *, root: Path | None = None
) -> Scan:
    """Compose files that are given together, as by ``docker compose -f A -f B``.

    Args:
        paths: later ones over earlier ones.
        options: settings of the rules.
        root: nothing outside of it is read; the folder of the first file by default.

    Raises:
        UsageError: no file is named, or one of them is not there.
    """
    if not paths:
        raise UsageError("no Compose file is named")
    for path in paths:
        if not path.is_file():
            raise UsageError(f"there is no file at {path}")
    sheet = Sheet()
    scan_together(sheet, root or paths[0].parent, paths, options or Options())
    return sheet.scan()


def scan_dockerfile(
    sheet: Sheet, root: Path, path: Path, options: Options, contexts: Iterable[Path] = ()
) -> None:
    """One Dockerfile and its contexts: those given or configured, or the nearest that fits."""
    name = relative(path, root)
    try:
        build = read(read_bounded(path, root, options.limits.file_bytes), options)
        sheet.found(name, judge_dockerfile(build))
    except Inconclusive as error:
        sheet.missed(name, error)
        return
    sheet.scanned.append(name)
    try:
        for context in _contexts(build, path, name, root, contexts):
            sheet.found(name, list(judge_context(build, path, context, root)))
    except Inconclusive as error:
        sheet.missed(f"build context of {name}", error)


def _contexts(
    build: Build, path: Path, name: str, root: Path, given: Iterable[Path]
) -> Iterable[Path]:
    if name in build.options.contexts:
        return [root / build.options.contexts[name]]
    return sorted(set(given)) or [find_context(build, path, root)]


def discover(root: Path, options: Options, sheet: Sheet) -> Iterator[Path]:
    """Dockerfiles and Compose files, in a steady order. Links to folders are not followed."""
    seen = 0

    def report(error: OSError) -> None:
        where = relative(Path(error.filename or root), root)
        sheet.missed(where, Inconclusive(f"the folder cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, onerror=report):
        folders[:] = sorted(name for name in folders if name not in options.skipped_folders)
        for name in sorted(files):
            seen += 1
            if seen > options.limits.files:
                sheet.missed(str(root), Inconclusive(f"more than {options.limits.files} files"))
                return
            path = Path(folder, name)
            if is_dockerfile(path) or is_compose(path):
                yield path
