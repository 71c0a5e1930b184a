"""For every kind of destination, a real one: what the contract suites run against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from backup_lib.destinations.base import Destination, SetRef
from backup_lib.kinds import DESTINATIONS
from restoreproof.pathnames import encode_component


@dataclass(frozen=True)
class DestinationRig:
    """An empty destination, and hands to reach behind it."""

    kind: str
    settings: Mapping[str, object]
    away: Destination
    """One of the same kind that cannot be reached."""
    stored: Callable[[], dict[str, bytes]]
    """Everything that physically lies there, by name: sets, locks, temporary files."""
    put: Callable[[SetRef, str, bytes | None], None]
    """Replace the stored bytes of an object behind its back; None removes it."""

    def connect(self) -> Destination:
        """The destination, as another process would open it."""
        return destination(self.kind, self.settings)


def destination(kind: str, settings: Mapping[str, object]) -> Destination:
    """A destination as the configuration would make it."""
    plugin = DESTINATIONS.load(kind)
    return plugin.from_settings("test", plugin.settings().model_validate(settings), Path("/"))


def local_path(root: Path, ref: SetRef, name: str) -> Path:
    """Where destination ``local`` keeps an object."""
    return root / encode_component(ref.set_name) / encode_component(ref.set_id) / name


@contextmanager
def _local(tmp_path: Path) -> Iterator[DestinationRig]:
    root = tmp_path / "backups"
    root.mkdir(0o700)

    def put(ref: SetRef, name: str, content: bytes | None) -> None:
        path = local_path(root, ref, name)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    yield DestinationRig(
        kind="local",
        settings={"path": str(root)},
        away=destination("local", {"path": str(tmp_path / "not-mounted")}),
        stored=lambda: {
            str(path.relative_to(root)): b"" if path.is_dir() else path.read_bytes()
            for path in root.rglob("*")
        },
        put=put,
    )


RIGS: Mapping[str, Callable[[Path], AbstractContextManager[DestinationRig]]] = {"local": _local}
