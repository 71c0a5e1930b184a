"""The part of the configuration that is about backups: sets, stores, destinations, sandboxes."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, NonNegativeInt

from backup_lib.kinds import DESTINATIONS, SANDBOXES, STORES
from backup_lib.model import JsonValue
from restoreproof.alerts.kinds import CHANNELS
from restoreproof.config import Document, read
from restoreproof.config.model import ConfigPath, Duration, Percent, Settings, Size, ToCome
from restoreproof.config.plugins import Configured, read_plugins
from restoreproof.errors import ConfigError, UsageError
from restoreproof.kinds import did_you_mean

if TYPE_CHECKING:
    from backup_lib.destinations.base import Destination
    from backup_lib.sandboxes.base import Sandbox
    from backup_lib.stores.base import Source
    from restoreproof.alerts.channel import Channel
    from restoreproof.config.schema import SchemaBuilder

T = TypeVar("T")

DEFAULT_STATE = ".restoreproof"
DEFAULT_SANDBOX = "process"


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'names "{name}" twice')
    return names


class KeepSettings(Settings):
    """``keep = { … }``: which backups pruning leaves alone."""

    last: NonNegativeInt = 0
    """The newest so many."""
    daily: NonNegativeInt = 0
    """The newest of each of so many days."""
    weekly: NonNegativeInt = 0
    """The newest of each of so many weeks."""
    monthly: NonNegativeInt = 0
    """The newest of each of so many months."""


class SetSettings(Settings):
    """``[set.NAME]``: what is backed up together, where to, and what is demanded of it."""

    stores: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_distinct)]
    """Names of the stores, backed up in this order."""
    destination: str
    """Name of the destination."""
    rpo: Duration | None = None
    """How old the newest backup may become: the data that a disaster may cost."""
    rto: Annotated[
        Duration | None,
        ToCome(
            "limits the time of a restore, which this version does not measure against anything",
            "take it out; the result of a verification says how long its restore took",
        ),
    ] = None
    """How long a restore of the whole set may take."""
    max_age: Duration | None = None
    """How old the newest backup may be when it is verified; ``rpo`` by default, else a day."""
    min_size: Size = 1
    """Stored bytes below which a store's backup is bad."""
    size_drop: Percent = 0.5
    """Share of its usual size that a backup may lack before it is bad."""
    remember: Duration = timedelta(days=7)
    """How long a proof holds for the very same bytes, before they are restored again."""
    keep: Annotated[
        KeepSettings | None,
        ToCome(
            "asks for pruning, which this version cannot do",
            "take it out, and remove old sets by hand: the folder of a set with all that is in it",
        ),
    ] = None
    """Which backups pruning leaves alone."""
    encrypt_to: Annotated[
        tuple[str, ...],
        ToCome(
            "asks for encryption, which this version cannot do",
            "take it out, and keep the destination on an encrypted disk",
        ),
    ] = ()
    """Recipients (age) that artifacts are encrypted to."""
    sandbox: str | None = None
    """Name of the sandbox that restores of this set are rehearsed in."""
    alerts: Annotated[tuple[str, ...], AfterValidator(_distinct)] | None = None
    """Names of the alert channels that are told, in this order; all of them by default."""
    alert_route: Literal["all", "fallback"] = "all"
    """Whether every channel is told, or the next one only where those before it are down."""
    remind_after: Duration = timedelta(days=1)
    """How long to wait before the same failure is told again."""


class StoreSettings(Settings):
    """What every ``[store.NAME]`` may say, whatever its kind."""

    assertions: tuple[str, ...] = ()
    """Questions that must hold in the restored copy, in the store's language; such as SQL."""
    fingerprint: bool = True
    """Whether the content is fingerprinted at the source; without it nothing is proven equal."""
    sandbox: str | None = None
    """Name of the sandbox for this store, instead of the set's."""


class PlainSettings(Settings):
    """For tables in which all keys but ``kind`` are the plugin's own."""


class SigningSettings(Settings):
    """``[signing]``: the key of this machine, and the keys it believes."""

    key: ConfigPath | None = None
    """File of the private key; ``keys/signing.pem`` in the state folder by default."""
    trusted: ConfigPath | None = None
    """Folder of public keys whose signatures are believed; ``keys/trusted`` by default."""


class RootSettings(Settings):
    """The keys that stand above all tables."""

    state: ConfigPath | None = None
    """Folder of locks, memory and keys; ``.restoreproof`` beside the configuration by default."""


@dataclass(frozen=True, slots=True)
class BackupConfig:
    """The checked configuration. Nothing is connected, resolved or made yet.

    Attributes:
        path: the file.
        state: folder of locks, memory and keys.
        signing_key: file of the private key (need not exist).
        trusted_keys: folder of public keys (need not exist).
        sets: by name, in the order of the file.
        stores: by name; ``.common`` is a :class:`StoreSettings`, ``.settings`` the plugin's model.
        destinations: by name.
        sandboxes: by name; never empty.
        alerts: by name; empty where they were left out.
    """

    path: Path
    state: Path
    signing_key: Path
    trusted_keys: Path
    sets: Mapping[str, SetSettings]
    stores: Mapping[str, Configured[StoreSettings]]
    destinations: Mapping[str, Configured[PlainSettings]]
    sandboxes: Mapping[str, Configured[PlainSettings]]
    alerts: Mapping[str, Configured[PlainSettings]]

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self.path.parent

    def set(self, name: str) -> SetSettings:
        """One set. Raises UsageError for an unknown name."""
        return _named(self.sets, name, "set")

    def store(self, name: str) -> Configured[StoreSettings]:
        """One store. Raises UsageError for an unknown name."""
        return _named(self.stores, name, "store")

    def max_age(self, name: str) -> timedelta:
        """How old the newest backup of a set may be."""
        chosen = self.set(name)
        return chosen.max_age or chosen.rpo or timedelta(days=1)

    def sandbox_name(self, set_name: str, store_name: str) -> str:
        """The sandbox of a store within a set: the store's, else the set's, else the first."""
        own = self.store(store_name).common.sandbox
        return own or self.set(set_name).sandbox or next(iter(self.sandboxes))

    def source(self, name: str) -> Source:
        """A source for that store."""
        store = self.store(name)
        return STORES.make(
            store.kind, lambda plugin: plugin.source(name, store.settings, self.base)
        )

    def destination(self, name: str) -> Destination:
        """That destination."""
        one = _named(self.destinations, name, "destination")
        return DESTINATIONS.make(
            one.kind, lambda plugin: plugin.from_settings(name, one.settings, self.base)
        )

    def sandbox(self, name: str) -> Sandbox:
        """That sandbox."""
        one = _named(self.sandboxes, name, "sandbox")
        return SANDBOXES.make(
            one.kind, lambda plugin: plugin.from_settings(name, one.settings, self.base)
        )

    def channel(self, name: str) -> Channel:
        """That alert channel."""
        one = _named(self.alerts, name, "alert")
        return CHANNELS.make(
            one.kind, lambda plugin: plugin.from_settings(name, one.settings, self.base)
        )

    def export_non_secret(self, set_name: str) -> dict[str, JsonValue]:
        """What travels in the manifest of a set: its tables as written, secrets as references.

        Whom to alert does not: a restore elsewhere is nothing to wake them for.
        """
        chosen = self.set(set_name)
        store_names = list(chosen.stores)
        sandboxes = {self.sandbox_name(set_name, name) for name in store_names}
        sandboxes |= {chosen.sandbox} if chosen.sandbox else set()
        return {
            "set": {set_name: _plain(chosen.model_copy(update={"alerts": None}))},
            "store": {name: self.stores[name].as_json() for name in store_names},
            "destination": {chosen.destination: self.destinations[chosen.destination].as_json()},
            "sandbox": {name: self.sandboxes[name].as_json() for name in sorted(sandboxes)},
        }


def load(explicit: str | os.PathLike[str] | None = None, *, alerts: bool = True) -> BackupConfig:
    """Find, read and check the configuration.

    Args:
        explicit: the file; without it, it is looked for.
        alerts: whether alert channels are wanted.

    Raises:
        ConfigError: all problems at once, each with file, key and line.
    """
    return from_document(read(explicit), alerts=alerts)


def from_document(document: Document, *, alerts: bool = True) -> BackupConfig:
    """Check the tables that are about backups.

    Args:
        document: the file.
        alerts: whether alert channels are wanted. Without them their tables and libraries are
            not looked at: a pager's client must not stand between somebody and a restore.

    Raises:
        ConfigError: all problems at once, each with file, key and line.
    """
    root = document.check(RootSettings, _only(document.data, RootSettings), ())
    signing = document.check(SigningSettings, document.data.get("signing", {}), ("signing",))
    stores = read_plugins(document, "store", STORES, StoreSettings)
    destinations = read_plugins(document, "destination", DESTINATIONS, PlainSettings)
    sandboxes = read_plugins(document, "sandbox", SANDBOXES, PlainSettings)
    channels = read_plugins(document, "alert", CHANNELS, PlainSettings) if alerts else {}
    if not document.data.get("sandbox"):
        sandboxes = {DEFAULT_SANDBOX: _default_sandbox(document)}
    sets: dict[str, SetSettings] = {}
    for name, table in document.table("set").items():
        chosen = document.check(SetSettings, table, ("set", name))
        if chosen:
            _check_references(document, name, chosen)
            sets[name] = chosen
    for name, store in stores.items():
        if store.common.sandbox:
            known = document.data.get("sandbox") or sandboxes
            _refer(document, ("store", name, "sandbox"), store.common.sandbox, known, "sandbox")
    _check_names(document)
    document.finish()
    assert root is not None
    assert signing is not None
    state = root.state or document.base / DEFAULT_STATE
    return BackupConfig(
        path=document.path,
        state=state,
        signing_key=signing.key or state / "keys" / "signing.pem",
        trusted_keys=signing.trusted or state / "keys" / "trusted",
        sets=sets,
        stores=stores,
        destinations=destinations,
        sandboxes=sandboxes,
        alerts=channels,
    )


def describe(builder: SchemaBuilder) -> None:
    """Add the schemas of the tables that are about backups."""
    builder.keys(RootSettings)
    builder.table("signing", SigningSettings)
    builder.named_tables("set", SetSettings)
    builder.plugins("store", STORES, StoreSettings)
    builder.plugins("destination", DESTINATIONS, PlainSettings)
    builder.plugins("sandbox", SANDBOXES, PlainSettings)
    builder.plugins("alert", CHANNELS, PlainSettings)


def _default_sandbox(document: Document) -> Configured[PlainSettings]:
    try:
        settings = SANDBOXES.load(DEFAULT_SANDBOX).settings()
    except ConfigError as error:
        raise ConfigError(error.message, hint=error.hint, path=document.path) from error
    return Configured(DEFAULT_SANDBOX, settings.model_validate({}), PlainSettings(), {})


def _check_references(document: Document, name: str, chosen: SetSettings) -> None:
    for index, store in enumerate(chosen.stores):
        _refer(document, ("set", name, "stores", index), store, document.data.get("store"), "store")
    known = document.data.get("destination")
    _refer(document, ("set", name, "destination"), chosen.destination, known, "destination")
    if chosen.sandbox:
        known = document.data.get("sandbox") or (DEFAULT_SANDBOX,)
        _refer(document, ("set", name, "sandbox"), chosen.sandbox, known, "sandbox")
    for index, channel in enumerate(chosen.alerts or ()):
        known = document.data.get("alert")
        _refer(document, ("set", name, "alerts", index), channel, known, "alert")
    for key, mark in ToCome.of(SetSettings).items():
        if key in chosen.model_fields_set:
            document.note(("set", name, key), mark.what, mark.hint)


def _refer(
    document: Document,
    path: tuple[str | int, ...],
    name: str,
    known: Collection[str] | None,
    table: str,
) -> None:
    if name not in (known or ()):
        hint = did_you_mean(name, known or ()) or f"write a table [{table}.{name}]"
        document.note(path, f'names "{name}", but there is no such {table}', hint)


def _check_names(document: Document) -> None:
    """Names become parts of paths and of messages."""
    for table in ("set", "store", "destination", "sandbox", "alert"):
        for name in document.table(table):
            if not name or not name.isprintable() or name != name.strip() or len(name) > 100:
                document.note(
                    (table, name),
                    "is no usable name",
                    "use printable characters, at most 100, no spaces at the ends",
                )


def _named(known: Mapping[str, T], name: str, what: str) -> T:
    if name not in known:
        raise UsageError(
            f'there is no {what} "{name}" in the configuration',
            hint=did_you_mean(name, known) or f"known: {', '.join(known) or 'none'}",
        )
    return known[name]


def _only(data: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key in model.model_fields}


def _plain(model: BaseModel) -> dict[str, JsonValue]:
    dumped: dict[str, JsonValue] = model.model_dump(
        mode="json", exclude_none=True, exclude_defaults=True
    )
    return dumped
