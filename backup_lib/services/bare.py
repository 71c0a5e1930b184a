"""A site on a bare machine: made of a destination and a trusted key alone.

The set's own signed manifest brings the rest of the configuration; secrets are references in it,
which have to be met here (an environment variable, or a file; where its path is relative, below the
working folder). Nobody is alerted from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backup_lib.model import JsonValue
from backup_lib.services.archive import list_sets, read_newest
from backup_lib.services.site import Site
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.errors import JudgedBad, UsageError
from restoreproof.signing import PublicKey, TrustedKeys

_NOT_HERE = frozenset({"alerts", "keep", "rto"})
"""Keys of a set that are nothing to a restore."""


def open_bare(
    folder: Path,
    key: str,
    state: Path,
    *,
    set_name: str | None = None,
    base: Path | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Site:
    """The site of the newest set in a local destination.

    Args:
        folder: of the destination.
        key: the trusted public key: a file, or its one-line text.
        state: a folder for locks and memory.
        set_name: which set's configuration counts; may be left out where there is only one.
        base: the folder that relative paths of the configuration start from; the working folder
            by default.
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
    newest, listing = read_newest(destination, trusted, list_sets(destination, trusted, set_name))
    if newest is None:
        first = listing.unreadable[0]
        raise JudgedBad(f"no set of {set_name} can be read: {first.reason}", hint=first.hint)
    data = _here(newest.manifest.configuration, place)
    path = (base or Path.cwd()) / f"the configuration in {newest.ref.set_id}"
    config = from_document(Document(path, data, {}))
    keys = state / "keys"
    config = replace(
        config, state=state, signing_key=keys / "signing.pem", trusted_keys=keys / "trusted"
    )
    site = Site(config, clock)
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


def _here(configuration: Mapping[str, JsonValue], place: str) -> dict[str, Any]:
    """A set's configuration with what is here in place of what was there.

    Earlier versions named alert channels and sandboxes in it that they did not bring, and wishes
    that nobody met.
    """
    data: dict[str, Any] = dict(configuration)
    sandboxes = _tables(data, "sandbox")
    data["set"] = {
        name: {
            key: value
            for key, value in table.items()
            if key not in _NOT_HERE and not (key == "sandbox" and value not in sandboxes)
        }
        for name, table in _tables(data, "set").items()
    }
    data["destination"] = {
        name: {"kind": "local", "path": place} for name in _tables(data, "destination")
    }
    return data


def _tables(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    tables = data.get(name)
    return tables if isinstance(tables, dict) else {}
