"""Whether the configuration is right, and its schema: over the tables of all packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from backup_lib.config import BackupConfig, describe, from_document
from hardening.config import HardeningConfig
from hardening.config import describe as describe_hardening
from hardening.config import from_document as hardening_from
from restoreproof.config import TOP_LEVEL, read
from restoreproof.config.plugins import Configured
from restoreproof.config.schema import Schema, SchemaBuilder
from restoreproof.errors import ConfigError
from restoreproof.events import Listener, Warned
from restoreproof.reporters.text import one_line
from restoreproof.secrets import SecretRef


@dataclass(frozen=True, slots=True)
class Entry:
    """One named table.

    Attributes:
        table: such as ``store``.
        name: such as ``orders``.
        summary: its kind, or what it refers to.
    """

    table: str
    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A configuration in which no problem was found.

    Attributes:
        path: the file.
        entries: its tables, in the order of the file within each kind of table.
    """

    path: Path
    entries: tuple[Entry, ...]


def check_configuration(explicit: str | None, emit: Listener) -> Overview:
    """Check everything that can be told without connecting to anything.

    Secrets that their references do not lead to are warned of: they may be set elsewhere.

    Raises:
        ConfigError: all problems at once, each with file, key and line.
    """
    document = read(explicit)
    hardening = hardening_from(document)
    config = from_document(document)  # raises what the others noted, too
    assert hardening is not None
    for table, name, reference in _references(config):
        try:
            reference.resolve(config.base, emit)
        except ConfigError as error:
            emit(Warned(f"{table}.{name}: {error.message}", error.hint))
    if not config.sets and not document.data.get("hardening"):
        emit(Warned("no backup set is configured", "write a table [set.NAME]"))
    entries = (*_entries(config), *_scanners(hardening))
    return Overview(config.path, entries)


def render_overview(overview: Overview) -> RenderableType:
    """What was found, a line per table."""
    table = Table.grid(padding=(0, 2))
    for entry in overview.entries:
        table.add_row(f"  {entry.table}", one_line(entry.name), one_line(entry.summary))
    return Group(Text(f"{one_line(str(overview.path))} is valid", "green"), table)


def configuration_schema() -> Schema:
    """JSON Schema of the whole file."""
    builder = SchemaBuilder()
    describe(builder)
    describe_hardening(builder)
    builder.other(TOP_LEVEL)
    return builder.build("restoreproof.toml")


def _entries(config: BackupConfig) -> Iterator[Entry]:
    for name, chosen in config.sets.items():
        yield Entry("set", name, f"{', '.join(chosen.stores)} to {chosen.destination}")
    for name, store in config.stores.items():
        yield Entry("store", name, store.kind)
    for name, destination in config.destinations.items():
        yield Entry("destination", name, destination.kind)
    for name, sandbox in config.sandboxes.items():
        yield Entry("sandbox", name, sandbox.kind)
    for name, alert in config.alerts.items():
        yield Entry("alert", name, alert.kind)


def _scanners(config: HardeningConfig) -> Iterator[Entry]:
    for name, scanner in config.scanners.items():
        yield Entry("scanner", name, scanner.kind)


def _references(config: BackupConfig) -> Iterator[tuple[str, str, SecretRef]]:
    tables: dict[str, Mapping[str, Configured[Any]]] = {
        "store": config.stores,
        "destination": config.destinations,
        "sandbox": config.sandboxes,
        "alert": config.alerts,
    }
    for table, named in tables.items():
        for name, one in named.items():
            for reference in _secrets_in(one.settings):
                yield table, name, reference


def _secrets_in(value: object) -> Iterator[SecretRef]:
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets_in(inner)
