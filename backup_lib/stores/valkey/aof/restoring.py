"""An append-only file into a disposable server: put into its folder, and loaded as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from backup_lib.model import Target
from backup_lib.stores.base import ArtifactSource
from backup_lib.stores.valkey.address import SOCKET_PARAM
from backup_lib.stores.valkey.aof import manifest
from backup_lib.stores.valkey.aof.foreign_names import refuse_recorded
from backup_lib.stores.valkey.loading import NotLoaded, load_log
from backup_lib.stores.valkey.rdb import RdbFrame
from backup_lib.stores.valkey.roles import LOG_BASE_ROLE, LOG_INCREMENT_ROLE
from backup_lib.work import Work
from restoreproof.atomic import space_error
from restoreproof.errors import JudgedBad, Unreachable
from restoreproof.events import step

_CHUNK = 1 << 20
_OLDER = "use an older backup set, and find out what damaged this one"


def load_artifacts(source: ArtifactSource, target: Target, work: Work) -> None:
    """Load the append-only file of a set into a disposable server.

    Raises:
        JudgedBad: it is damaged, or its bytes are not those of the manifest.
        NoSpace: there is no room for it beside the server.
        Inconclusive: it has commands that are not the server's own.
    """
    refuse_recorded(source.record.backup.details, target)
    artifacts = {artifact.role: artifact for artifact in source.record.artifacts}
    total = sum(
        artifacts[role].plain_size
        for role in (LOG_BASE_ROLE, LOG_INCREMENT_ROLE)
        if role in artifacts
    )
    with step(
        work.emit,
        "restore",
        "loading the append-only file",
        total=total,
        monotonic=work.clock.monotonic,
    ) as tells:

        def pieces(role: str) -> Iterator[bytes]:
            with source.open(role) as stream:
                while piece := stream.read(_CHUNK):
                    work.cancel.check()
                    yield piece
                    tells.advance(len(piece))

        home = LogHome(target, work)
        base = artifacts.get(LOG_BASE_ROLE)
        if base is not None:
            is_rdb = manifest.Part(base.name.removesuffix(".zst"), manifest.BASE).is_rdb
            home.write_base(pieces(LOG_BASE_ROLE), is_rdb=is_rdb)
        home.write_increment(pieces(LOG_INCREMENT_ROLE))
        home.load()


class LogHome:
    """The append-only file of a disposable server, under the names that it looks for.

    Args:
        target: a sandbox, whose folder holds its socket.
        work: the circumstances.
    """

    def __init__(self, target: Target, work: Work) -> None:
        self._target = target
        self._work = work
        self._folder = Path(target.params[SOCKET_PARAM]).parent / manifest.FOLDER_NAME
        self._base: str | None = None
        with self._explained():
            self._folder.mkdir()
            self._folder.chmod(0o755)  # the server runs as another user where we are root

    def write_base(self, pieces: Iterable[bytes], *, is_rdb: bool) -> None:
        """Write the base; an RDB file that is damaged is found before a server would end over it.

        Raises:
            JudgedBad: it is damaged.
        """
        self._base = f"{manifest.BASE_NAME}.{'rdb' if is_rdb else 'aof'}"
        frame = RdbFrame()

        def looked_at() -> Iterator[bytes]:
            for piece in pieces:
                frame.add(piece)
                yield piece

        self._write(self._base, looked_at() if is_rdb else pieces)
        found = frame.judge()
        if is_rdb and not found.good:
            raise JudgedBad(f"the base of the append-only file {found.value}", hint=_OLDER)

    def write_increment(self, pieces: Iterable[bytes]) -> None:
        """Write the commands behind the base; must end with a whole one."""
        self._write(manifest.INCREMENT_NAME, pieces)

    def load(self) -> None:
        """Load what was written.

        Raises:
            JudgedBad: the server refuses it.
        """
        self._write(manifest.MANIFEST_NAME, [manifest.text_of(self._base)])
        try:
            load_log(self._target, self._work)
        except NotLoaded:
            # it names the place in its log alone
            raise JudgedBad(
                "the server does not load the append-only file: some command is damaged",
                hint=_OLDER,
            ) from None

    def _write(self, name: str, pieces: Iterable[bytes]) -> None:
        path = self._folder / name
        with ExitStack() as stack:
            with self._explained():
                file = stack.enter_context(path.open("xb", buffering=0))
                path.chmod(0o644)
            for piece in pieces:  # reading may fail too, and is not ours to explain
                with self._explained():
                    rest = memoryview(piece)
                    while rest:
                        rest = rest[file.write(rest) :]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise space_error(error, self._folder.parent) or Unreachable(
                f"{self._folder.name} cannot be written for the disposable server: "
                f"{error.strerror or error}",
                hint="set folder in the sandbox's section to a disk that has room",
            ) from error
