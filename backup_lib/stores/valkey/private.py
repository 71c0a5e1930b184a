"""A disposable server of our own, beside the one that is backed up or restored into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_lib.model import ServerFacts, Target
from backup_lib.sandboxes.process import ProcessSandbox
from backup_lib.stores.valkey.server import ValkeyRecipe
from backup_lib.work import Work


class PrivateServers:
    """Starts them in the sandbox ``process``: confined, on a Unix socket only.

    Args:
        will_do: judges whether a server with those facts can take the data.
        programs: folder of ``valkey-server``; looked for if None.
    """

    def __init__(self, will_do: Callable[[ServerFacts], bool], programs: Path | None) -> None:
        self._sandbox = ProcessSandbox(programs={"valkey": programs} if programs else None)
        self._recipe = ValkeyRecipe(will_do)

    def offers(self) -> ServerFacts:
        """What they will be.

        Raises:
            Inconclusive: there are no programs for it.
        """
        return self._sandbox.offers(self._recipe)

    @contextmanager
    def start(self, work: Work) -> Iterator[Target]:
        """One of them, for the length of the block.

        Raises:
            Inconclusive: it did not start.
        """
        with self._sandbox.start(self._recipe, work) as server:
            yield server.target
