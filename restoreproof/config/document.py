"""Finding and reading the one configuration file, and telling what is wrong with it."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from restoreproof.config.positions import KeyPath, positions
from restoreproof.config.problems import (
    ConfigProblems,
    LocatedProblem,
    Problem,
    dotted,
    from_validation,
)
from restoreproof.errors import ConfigError
from restoreproof.kinds import did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel

    M = TypeVar("M", bound=BaseModel)

FILE_NAME = "restoreproof.toml"
ENVIRONMENT = "RESTOREPROOF_CONFIG"

TOP_LEVEL = {
    "set": "backup sets",
    "store": "data stores that are backed up",
    "destination": "where backups are kept",
    "sandbox": "disposable servers that restores are rehearsed in",
    "alert": "who is told when a verification fails",
    "signing": "the key that manifests and proofs are signed with, and the trusted ones",
    "state": "the folder of locks, memory and keys",
    "release": "releases",
    "hardening": "what scanners may find: the policy",
    "scanner": "tools that look for weaknesses",
}
"""Everything that may stand at the top level, of all packages; each reads its own."""

_LARGEST = 4 * 1024 * 1024
_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration file that was read, and what was found wrong with it so far.

    Attributes:
        path: the file, absolute; relative paths inside it start from its folder.
        data: the parsed TOML.
        lines: the line of every key.
        problems: grows while the tables are checked; see :meth:`finish`.
    """

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]
    problems: list[Problem] = field(default_factory=list)

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self.path.parent

    def line(self, path: KeyPath) -> int | None:
        """The line of that key, or of the nearest table around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def table(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """The named tables below ``[name.…]``; whatever is no table is noted as a problem."""
        return dict(self._tables(name))

    def _tables(self, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        found = self.data.get(name, {})
        if not isinstance(found, dict):
            self.note((name,), "should be a table", f"write [{name}.NAME]")
            return
        for key, value in found.items():
            if isinstance(value, dict):
                yield key, value
            else:
                self.note((name, key), "should be a table", f"write [{name}.NAME] above the keys")

    def note(self, path: KeyPath, message: str, hint: str = "") -> None:
        """Note a problem; checking goes on."""
        self.problems.append(Problem(path, message, hint))

    def check(
        self,
        model: type[M],
        data: object,
        path: KeyPath,
        *,
        also_known: Collection[str] = (),
    ) -> M | None:
        """``data``, the table at ``path``, as ``model``; None after noting what is wrong with it.

        Args:
            model: strict; extra keys forbidden.
            data: as TOML gave it.
            path: where it stands.
            also_known: keys of the same table that were taken out before.
        """
        from pydantic import ValidationError

        try:
            # TOML has the types of JSON: lists for tuples, strings for enumerations and paths
            return model.model_validate_json(as_json(data), context={"base": self.base})
        except ValidationError as error:
            self.problems.extend(from_validation(error, model, path, also_known))
            return None

    def finish(self) -> None:
        """Raise what was noted.

        Raises:
            ConfigProblems: all of it, in the order of the lines.
        """
        if self.problems:
            located = [
                LocatedProblem(dotted(one.path), self.line(one.path), one.message, one.hint)
                for one in self.problems
            ]
            raise ConfigProblems(self.path, sorted(located, key=lambda one: one.line or 0))


def as_json(data: object) -> str:
    """TOML data as JSON text; moments become text."""
    return json.dumps(data, default=_moment)


def _moment(value: object) -> str:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    raise TypeError(f"TOML has no {type(value).__name__}")


def find(explicit: str | os.PathLike[str] | None = None) -> Path:
    """The configuration file: the given one, else ``RESTOREPROOF_CONFIG``, else upwards from here.

    Raises:
        ConfigError: there is none.
    """
    if explicit:
        return Path(explicit).expanduser().absolute()
    found = found_here()
    if found:
        return found
    raise ConfigError(
        f"there is no {FILE_NAME} in {Path.cwd()} or above it",
        hint=f"inv init writes a first one; another is named by --config or {ENVIRONMENT}",
    )


def found_here() -> Path | None:
    """What ``RESTOREPROOF_CONFIG`` names, else the nearest file upwards; None without either."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        candidate = folder / FILE_NAME
        if candidate.is_file():
            return candidate
    return None


def read(explicit: str | os.PathLike[str] | None = None) -> Document:
    """Find and parse the configuration file.

    Raises:
        ConfigError: it is missing, unreadable, not UTF-8 or not TOML; file, line and hint inside.
    """
    path = find(explicit)
    text = _text(path)
    try:
        data = tomllib.loads(text)
        lines = positions(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line = int(place["line"]) if place and place["line"] else text.count("\n") + 1
        reason = _PLACE.sub("", str(error))
        raise ConfigError(
            f"{path}, line {line}: not valid TOML: {reason[:1].lower()}{reason[1:]}",
            hint="see https://toml.io for how keys and values are written",
            path=path,
            line=line,
        ) from None
    except RecursionError:
        raise ConfigError(
            f"{path}: nested too deeply", hint="flatten the arrays", path=path
        ) from None
    document = Document(path, data, lines)
    for key in data:
        if key not in TOP_LEVEL:
            hint = did_you_mean(key, TOP_LEVEL) or f"known: {', '.join(sorted(TOP_LEVEL))}"
            document.note((key,), "is not a known table", hint)
    return document


def _text(path: Path) -> str:
    try:
        if not path.is_file() and path.exists():
            raise ConfigError(f"{path} is not a file", hint="name the TOML file", path=path)
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(
            f"the configuration {path} cannot be read: {error.strerror}",
            hint="check the name given by --config or RESTOREPROOF_CONFIG, and its permissions",
            path=path,
        ) from error
    if len(raw) > _LARGEST:
        raise ConfigError(
            f"{path} is larger than {_LARGEST // 1024 // 1024} MiB",
            hint="this is no configuration file",
            path=path,
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}, line {line}: not UTF-8 text",
            hint="save the file as UTF-8",
            path=path,
            line=line,
        ) from None
