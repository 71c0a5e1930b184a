"""The kinds of a plugin interface: a table ``kind → "module:Class"``.

Built-in kinds and those of other distributions (entry points) are listed without importing
anything; a module is imported when its kind is used.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from restoreproof.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

P = TypeVar("P")
T = TypeVar("T")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint such as ``did you mean "rpo"?``, or the empty string where nothing is close."""
    choices = {name.casefold(): name for name in known}
    word = word.casefold()
    # two neighbours that changed places are nearer than any other slip, which difflib does not know
    swapped = {word[:at] + word[at : at + 2][::-1] + word[at + 2 :] for at in range(len(word) - 1)}
    close = [name for name in choices if name in swapped]
    close = close or difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return f'did you mean "{choices[close[0]]}"?' if close else ""


class Kinds(Generic[P]):
    """The table of one plugin interface ``P``.

    Attributes:
        noun: what a kind is a kind of, for messages: ``store``.
        group: name of the entry point group, such as ``restoreproof.stores``.
    """

    def __init__(
        self,
        *,
        group: str,
        builtin: Mapping[str, str],
        extra: Mapping[str, str] | None = None,
        noun: str = "",
    ) -> None:
        self.group = group
        self.noun = noun or group.rpartition(".")[2].removesuffix("s")
        self._builtin = dict(builtin)
        self._extra = dict(extra or {})

    def names(self) -> tuple[str, ...]:
        """All kinds, sorted. Imports none of them."""
        return tuple(sorted({*self._builtin, *self._others}))

    def load(self, kind: str) -> type[P]:
        """The plugin class of that kind.

        Raises:
            ConfigError: there is no such kind, or two distributions claim it.
            MissingExtra: the client library of a built-in kind is not installed.
        """
        module, _, name = self._target(kind).partition(":")
        with self._imports(kind, module):
            plugin: Any = importlib.import_module(module)
        for part in name.split("."):
            plugin = getattr(plugin, part)
        loaded: type[P] = plugin
        return loaded

    def make(self, kind: str, made: Callable[[type[P]], T]) -> T:
        """What ``made`` makes of the plugin class, which may import its client only then.

        Raises:
            ConfigError, MissingExtra: as :meth:`load`.
        """
        plugin = self.load(kind)
        with self._imports(kind, plugin.__module__):
            return made(plugin)

    @contextmanager
    def _imports(self, kind: str, module: str) -> Iterator[None]:
        """Say which extra brings a library that is missing."""
        try:
            yield
        except ImportError as error:
            if _is_ours(error, module):
                raise
            if kind in self._extra:
                raise MissingExtra(f"the {self.noun} kind {kind}", self._extra[kind]) from error
            raise ConfigError(
                f"the {self.noun} kind {kind} needs a library that is not installed: "
                f"{error.name or module}",
                hint="install what its distribution asks for",
            ) from error

    def _target(self, kind: str) -> str:
        if kind in self._builtin:
            return self._builtin[kind]
        found = {entry.value for entry in self._others.get(kind, ())}
        if not found:
            known = ", ".join(self.names())
            suggestion = did_you_mean(kind, self.names())
            raise ConfigError(
                f'there is no {self.noun} kind "{kind}"',
                hint=f"{suggestion} known kinds: {known}".strip(),
            )
        if len(found) > 1:
            raise ConfigError(
                f'the {self.noun} kind "{kind}" is claimed by several distributions: '
                + ", ".join(sorted(found)),
                hint="uninstall all but one of them",
            )
        return found.pop()

    @cached_property
    def _others(self) -> dict[str, list[EntryPoint]]:
        """Kinds of other distributions. A built-in kind is never replaced from outside."""
        from importlib.metadata import entry_points

        others: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self.group):
            if entry.name not in self._builtin:
                others.setdefault(entry.name, []).append(entry)
        return others


def _is_ours(error: ImportError, module: str) -> bool:
    """Whether the import failed for the plugin's own package: a bug, not a missing client."""
    missing = error.name or ""
    return isinstance(error, ModuleNotFoundError) and (
        missing == module or missing.partition(".")[0] == module.partition(".")[0]
    )
