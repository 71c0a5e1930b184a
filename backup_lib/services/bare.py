"""A site on a bare machine: made of a destination and a trusted key alone.

The set's own signed manifest brings the rest of the configuration; secrets are references in it,
which have to be met here (an environment variable, a file).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backup_lib.services.archive import list_sets
from backup_lib.services.site import Site
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.errors import JudgedBad, UsageError
from restoreproof.signing import PublicKey, TrustedKeys


def open_bare(
    folder: Path,
    key: str,
    state: Path,
    *,
    set_name: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Site:
    """The site of the newest set in a local destination.

    Args:
        folder: of the destination.
        key: the trusted public key: a file, or its one-line text.
        state: a folder for locks and memory.
        set_name: which set's configuration counts; may be left out where there is only one.
        clock: wall time.

    Raises:
        UsageError: no such folder or key, no set in it, or several and none was named.
        JudgedBad: no manifest of the set can be trusted.
    """
    from backup_lib.config import from_document
    from backup_lib.kinds import DESTINATIONS
    from restoreproof.config import Document

    trusted = TrustedKeys.of(read_public_key(key))
    place = str(folder.resolve())
    plugin = DESTINATIONS.load("local")
    settings = plugin.settings().model_validate({"path": place})
    destination = plugin.from_settings("bare", settings, folder)
    names = sorted({ref.set_name for ref in destination.sets()})
    if set_name is None and len(names) == 1:
        set_name = names[0]
    if set_name not in names:
        raise UsageError(
            f"there is no set {set_name} in {folder}" if set_name else f"which set of {folder}?",
            hint="it holds: " + (", ".join(names) or "no sets at all"),
        )
    listing = list_sets(destination, trusted, set_name)
    if listing.newest is None:
        first = listing.unreadable[0]
        raise JudgedBad(f"no set of {set_name} can be read: {first.reason}", hint=first.hint)
    data = dict(listing.newest.manifest.configuration)
    data["destination"] = {
        name: {"kind": "local", "path": place} for name in _names(data.get("destination"))
    }
    config = from_document(Document(state / "restoreproof.toml", data, {}))
    site = Site(replace(config, state=state), clock)
    site.trusted = trusted
    return site


def read_public_key(key: str) -> PublicKey:
    """A public key, given as a file or as its one-line text.

    Raises:
        UsageError: it is neither.
    """
    if key.startswith("ed25519:"):
        return PublicKey.parse(key, where="the argument")
    return PublicKey.load(Path(key).expanduser())


def _names(tables: object) -> list[str]:
    return list(tables) if isinstance(tables, dict) else []
