"""One configuration and the objects it describes, made when they are first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from backup_lib.destinations.base import Destination
from backup_lib.kinds import STORES
from backup_lib.model import JsonValue
from backup_lib.sandboxes.base import Sandbox
from backup_lib.services.archive import has_set
from backup_lib.services.ladder import Expectations
from backup_lib.services.memory import Memory
from backup_lib.stores.base import Restorer, Source
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.errors import RestoreproofError, UsageError
from restoreproof.events import Listener, Warned
from restoreproof.signing import SigningKey, TrustedKeys

if TYPE_CHECKING:
    from backup_lib.config import BackupConfig
    from restoreproof.alerts.channel import Channel
    from restoreproof.alerts.dispatcher import Dispatcher


@dataclass(frozen=True, slots=True)
class SetPlan:
    """One configured set, resolved.

    Attributes:
        name: of the set.
        destination_name: as configured.
        destination: ready to use.
        expectations: what is demanded of each store, in the order of the configuration.
        kinds: kind of each store.
    """

    name: str
    destination_name: str
    destination: Destination
    expectations: Mapping[str, Expectations]
    kinds: Mapping[str, str]

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores, in the order of the configuration."""
        return tuple(self.expectations)


class Site:
    """Where services get their objects from. Nothing is connected to before it is used."""

    def __init__(self, config: BackupConfig, clock: Clock = SYSTEM_CLOCK) -> None:
        self.config = config
        self.clock = clock
        self._destinations: dict[str, Destination] = {}
        self._sandboxes: dict[str, Sandbox] = {}

    @classmethod
    def open(
        cls, config: Path | None = None, *, clock: Clock = SYSTEM_CLOCK, alerts: bool = True
    ) -> Site:
        """The site of a configuration file; without one it is looked for.

        Args:
            config: the file.
            clock: wall time.
            alerts: whether anybody may have to be told; without it there are no alert channels.

        Raises:
            ConfigError: the configuration is missing or wrong.
        """
        from backup_lib.config import load

        return cls(load(config, alerts=alerts), clock)

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the configured sets."""
        return tuple(self.config.sets)

    def chosen_sets(self, name: str | None) -> tuple[str, ...]:
        """The named set, or all of them.

        Raises:
            UsageError: there is no such set, or none at all.
        """
        if name:
            self.config.set(name)
            return (name,)
        if not self.sets:
            raise UsageError(
                f"{self.config.path.name} configures no set",
                hint="write a table [set.NAME] with stores and a destination",
            )
        return self.sets

    def sets_meant(self, name: str | None, backup: str | None) -> tuple[str, ...]:
        """As :meth:`chosen_sets`; where only a backup's id is given, the set that it is of.

        Raises:
            UsageError: there is no such set or backup, or the id fits backups of several sets.
        """
        if name or not backup:
            return self.chosen_sets(name)
        names = self.chosen_sets(None)
        found = [n for n in names if has_set(self.plan(n).destination, n, backup)]
        if len(found) != 1:
            raise UsageError(
                f"backups of {' and '.join(found)} begin with {backup}"
                if found
                else f"no configured set has a backup {backup}",
                hint="name the set: --set NAME" if found else "list what is there: inv backup.list",
            )
        return tuple(found)

    def one_set(self, name: str | None, backup: str | None) -> str:
        """The one set that is meant, where only one will do.

        Raises:
            UsageError: it is not clear which.
        """
        names = self.sets_meant(name, backup)
        if len(names) > 1:
            raise UsageError(
                f"which set is meant? there are {', '.join(names)}", hint="name it: --set NAME"
            )
        return names[0]

    def plan(self, set_name: str) -> SetPlan:
        """One set, resolved.

        Raises:
            UsageError: there is no such set.
        """
        chosen = self.config.set(set_name)
        expectations = {
            store: Expectations(
                max_age=self.config.max_age(set_name),
                min_size=chosen.min_size,
                size_drop=chosen.size_drop,
                assertions=self.config.store(store).common.assertions,
                remember=chosen.remember,
            )
            for store in chosen.stores
        }
        return SetPlan(
            name=set_name,
            destination_name=chosen.destination,
            destination=self.destination(chosen.destination),
            expectations=expectations,
            kinds={store: self.config.store(store).kind for store in chosen.stores},
        )

    def destination(self, name: str) -> Destination:
        """A configured destination."""
        if name not in self._destinations:
            self._destinations[name] = self.config.destination(name)
        return self._destinations[name]

    def source(self, store: str) -> Source:
        """A configured store."""
        return self.config.source(store)

    def takes_fingerprint(self, store: str) -> bool:
        """Whether the content of that store is to be fingerprinted."""
        return self.config.store(store).common.fingerprint

    def restorer(self, kind: str) -> Restorer:
        """The restorer of a kind of store."""
        return STORES.make(kind, lambda plugin: plugin.restorer())

    def sandbox(self, name: str) -> Sandbox:
        """A configured sandbox."""
        if name not in self._sandboxes:
            self._sandboxes[name] = self.config.sandbox(name)
        return self._sandboxes[name]

    def sandbox_for(self, set_name: str, store: str) -> Sandbox:
        """Where restores of that store are rehearsed."""
        return self.sandbox(self.config.sandbox_name(set_name, store))

    def exported(self, set_name: str) -> Mapping[str, JsonValue]:
        """The configuration that travels in the manifest: secrets as references only."""
        return self.config.export_non_secret(set_name)

    @cached_property
    def trusted(self) -> TrustedKeys:
        """Whose signatures are believed."""
        return TrustedKeys(self.config.trusted_keys)

    def signing_key(self) -> SigningKey:
        """The key of this machine.

        Raises:
            UsageError: there is none yet, or it cannot be read.
        """
        if not self.config.signing_key.exists():
            raise UsageError(
                f"there is no signing key yet ({self.config.signing_key})",
                hint="make one: inv backup.keys --make",
            )
        return SigningKey.load(self.config.signing_key)

    @cached_property
    def memory(self) -> Memory:
        """What this machine remembers of earlier verifications."""
        return Memory(self.config.state / "verified.json")

    def lock_path(self, name: str) -> Path:
        """The lock file for ``name`` on this machine."""
        from restoreproof.pathnames import encode_component

        folder = self.config.state / "locks"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / f"{encode_component(name)}.lock"

    @property
    def proofs(self) -> Path:
        """Folder of the signed proofs of this machine's verifications."""
        return self.config.state / "proofs"

    def alert_channels(self) -> Mapping[str, Channel]:
        """The configured alert channels, in the order of the configuration."""
        return {name: self.config.channel(name) for name in self.config.alerts}

    def dispatcher(self, set_name: str | None, emit: Listener) -> Dispatcher | None:
        """Who tells the alert channels of a set; None where it has none.

        Each set remembers its own incidents: its channels, its route and its patience are its own.

        Args:
            set_name: the set; None for what is about no set, of which all channels are told.
            emit: told of channels that fail.

        Raises:
            UsageError: there is no such set.
        """
        from restoreproof.alerts.dispatcher import REMIND_AFTER, Dispatcher, Route
        from restoreproof.pathnames import encode_component

        chosen = self.config.set(set_name) if set_name is not None else None
        asked = chosen.alerts if chosen else None
        names = tuple(self.config.alerts) if asked is None else asked
        if not names:
            return None
        channels: dict[str, Channel] = {}
        for name in names:
            try:
                channels[name] = self.config.channel(name)
            except RestoreproofError as error:
                # it hides neither the verdict nor the other channels
                emit(Warned(f'the alert channel "{name}" failed: {error.message}', error.hint))
        # no set's name is written with a leading dash
        file = encode_component(set_name) if set_name is not None else "-"
        return Dispatcher(
            channels,
            self.config.state / "alerts" / f"{file}.json",
            route=Route(chosen.alert_route) if chosen else Route.ALL,
            remind_after=chosen.remind_after if chosen else REMIND_AFTER,
            clock=self.clock,
            emit=emit,
        )
