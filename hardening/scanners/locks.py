"""Locks: files with exact versions of packages, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath

from hardening.model import Cause, NotScanned
from hardening.peeking import peek

REQUIREMENTS = (
    r"(^|/)(([A-Za-z0-9_.-]+[_.-])?(requirements|constraints)([_.-][A-Za-z0-9_.-]+)?"
    r"|(requirements|constraints)/[^/]+)\.txt$"
)
"""pip's files, as an expression that Trivy understands as well."""

_REQUIREMENTS = re.compile(REQUIREMENTS)
_REQUIRED = re.compile(
    rb"^[ \t]*[A-Za-z0-9][\w.-]*(?:\[[^\]\n]*\])?[ \t]*(?:[=<>~!]=|[<>;@#\\]|\r?$)", re.MULTILINE
)

_LOCKS: Mapping[str, re.Pattern[bytes]] = {
    **dict.fromkeys(
        ("poetry.lock", "pdm.lock", "Cargo.lock"), re.compile(rb"^\[\[package\]\]", re.MULTILINE)
    ),
    # the first one of uv's is the project itself
    "uv.lock": re.compile(rb"^source *= *\{ *(?:registry|git|url)", re.MULTILINE),
    "pylock.toml": re.compile(rb"^\[\[packages\]\]", re.MULTILINE),
    "Pipfile.lock": re.compile(rb'"version"\s*:\s*"=='),
    **dict.fromkeys(
        ("package-lock.json", "npm-shrinkwrap.json"),
        re.compile(rb'"(?:[^"\n]*/)?node_modules/|"(?:resolved|integrity)"\s*:'),
    ),
    "yarn.lock": re.compile(rb"^ +(?:version|\"version\")\b", re.MULTILINE),
    "pnpm-lock.yaml": re.compile(rb"^ +(?:resolution|version):", re.MULTILINE),
    "bun.lock": re.compile(rb'"sha\d+-'),
    "bun.lockb": re.compile(rb"."),
    "Gemfile.lock": re.compile(rb"^ {4}\S", re.MULTILINE),
    "composer.lock": re.compile(rb'"version"\s*:'),
    "go.mod": re.compile(rb"^require\b", re.MULTILINE),
    "mix.lock": re.compile(rb":hex\b"),
    "pubspec.lock": re.compile(rb"^ +version:", re.MULTILINE),
    "packages.lock.json": re.compile(rb'"resolved"\s*:'),
    "gradle.lockfile": re.compile(rb"^[^#\s=]+=", re.MULTILINE),
    "Podfile.lock": re.compile(rb"^ +- ", re.MULTILINE),
    "Package.resolved": re.compile(rb'"(?:version|revision)"\s*:'),
}
"""By name, what stands in it where it names any package."""

_MOST = 16 << 20
"""Bytes that are looked at."""


def is_requirements(path: PurePath) -> bool:
    """Whether a file is pip's, by its name: ``requirements-dev.txt``, ``requirements/a.txt``."""
    return _REQUIREMENTS.search(path.as_posix()) is not None


def locks_among(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Those of the files, relative to the root, that are locks and name a package."""
    for name in names:
        path = PurePath(name)
        pattern = _REQUIRED if is_requirements(path) else _LOCKS.get(path.name)
        if pattern is not None and pattern.search(peek(root / name, _MOST, follow=True) or b""):
            yield name


def unread(locks: Iterable[str], read: Iterable[str]) -> tuple[NotScanned, ...]:
    """A gap for each lock that is not among the files whose packages were read."""
    done = set(read)
    return tuple(
        NotScanned(
            name,
            "its packages were not looked up: the report does not have it",
            "pin exact versions, or export it to a format that the tool knows",
            Cause.SKIPPED,
        )
        for name in locks
        if name not in done
    )
