"""Where a verifier gets alert channels and sandbox from: handed in, configured, or usual."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from backup_lib.kinds import SANDBOXES
from backup_lib.services.site import Site
from restoreproof.clock import Clock
from restoreproof.events import Listener

if TYPE_CHECKING:
    from backup_lib.config import BackupConfig
    from backup_lib.sandboxes.base import Sandbox
    from restoreproof.alerts.channel import Channel
    from restoreproof.alerts.dispatcher import Dispatcher

APPLICATION = "restoreproof"


class Surroundings:
    """What was handed in goes before what is configured, and that before what is usual.

    Args:
        config: the configuration or its file; looked for where it is None, and then none is needed.
        sandbox: where restores are rehearsed.
        channels: who is told, by name.
        state: folder of what is remembered between runs.
        clock: wall time.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | BackupConfig | Site | None,
        *,
        sandbox: Sandbox | None,
        channels: Mapping[str, Channel] | None,
        state: Path | None,
        clock: Clock,
    ) -> None:
        self._config = config
        self._sandbox = sandbox
        self._channels = channels
        self._state = state
        self._clock = clock

    @cached_property
    def site(self) -> Site | None:
        """The configured site; None where no configuration was named and none is found.

        Raises:
            ConfigError: the configuration is wrong, or the named file is missing.
        """
        if self._config is None:
            from restoreproof.config.document import found_here

            found = found_here()
            return None if found is None else self.site_of(found)
        return self.site_of(self._config)

    def site_of(self, config: str | os.PathLike[str] | BackupConfig | Site) -> Site:
        """The site of a configuration.

        Raises:
            ConfigError: it is missing or wrong.
        """
        if isinstance(config, Site):
            return config
        if isinstance(config, str | os.PathLike):
            return Site.open(Path(config), clock=self._clock)
        return Site(config, self._clock)

    @property
    def own_channels(self) -> bool:
        """Whether alert channels were handed in, which then take the place of configured ones."""
        return self._channels is not None

    def sandbox(self) -> Sandbox:
        """Where restores of plain files are rehearsed.

        A configuration counts only where it was named: a file that merely lies here does not.
        """
        if self._sandbox is None:
            site = self.site if self._config is not None else None
            if site is not None:
                self._sandbox = site.sandbox(next(iter(site.config.sandboxes)))
            else:
                plugin = SANDBOXES.load("process")
                settings = plugin.settings().model_validate({})
                self._sandbox = plugin.from_settings("process", settings, Path())
        return self._sandbox

    def dispatcher(self, emit: Listener) -> Dispatcher | None:
        """Who tells the alert channels; None where there are none.

        Args:
            emit: told of channels that fail.

        Raises:
            ConfigError: the configuration is wrong.
        """
        from restoreproof.alerts.dispatcher import Dispatcher

        if self._channels is None:
            site = self.site
            return site.dispatcher(None, emit) if site else None
        if not self._channels:
            return None
        return Dispatcher(
            self._channels, self._state_folder() / "alerts.json", clock=self._clock, emit=emit
        )

    def _state_folder(self) -> Path:
        if self._state is not None:
            return self._state
        if self._config is not None and self.site is not None:
            return self.site.config.state
        base = os.environ.get("XDG_STATE_HOME", "")
        return (Path(base) if base else Path.home() / ".local" / "state") / APPLICATION
