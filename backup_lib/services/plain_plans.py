"""What is demanded of plain backups, as a mapping says it: checked, and nothing guessed."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from backup_lib.model import Fingerprint, Rung
from backup_lib.services.plain_ladder import PlainPlan
from backup_lib.services.plain_types import PlainType
from restoreproof.errors import UsageError
from restoreproof.kinds import did_you_mean

KEYS = ("path", "type", "max_age_hours", "min_bytes", "expected", "depth")
_DEPTHS = tuple(rung for rung in Rung if rung is not Rung.ASSERTIONS)


def plans_of(entries: Mapping[str, object], *, depth: Rung | None = None) -> tuple[PlainPlan, ...]:
    """The plans of a mapping.

    Args:
        entries: one entry (``{"path": …, "type": …, "max_age_hours": …, "min_bytes": …,
            "expected": …, "depth": …}``), or name → such an entry, or name → path.
        depth: for entries that name none.

    Raises:
        UsageError: there is nothing to verify, or an entry is wrong.
    """
    if not entries:
        raise UsageError(
            "nothing to verify: the configuration is empty",
            hint='name a file, such as {"path": "/backups/orders.dump"}',
        )
    if isinstance(entries.get("path"), str | os.PathLike) or set(entries) <= set(KEYS):
        path = entries.get("path")
        name = path_of(path).name if isinstance(path, str | os.PathLike) else ""
        return (_plan(name or "backup", entries, depth),)
    plans = []
    for name, entry in entries.items():
        if isinstance(entry, str | os.PathLike):
            entry = {"path": entry}  # noqa: PLW2901  a path is the short form of an entry
        if not isinstance(entry, Mapping):
            raise UsageError(
                f"{name}: should be a path, or a mapping with the key path",
                hint=f"known keys: {', '.join(KEYS)}",
            )
        plans.append(_plan(str(name), entry, depth))
    return tuple(plans)


def path_of(path: object) -> Path:
    """A path as people give it, ``~`` resolved.

    Raises:
        UsageError: it is none.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text:
        raise UsageError(f"{path!r} is no path", hint="name a file, a folder or a pattern")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{text}: {error}", hint="write the whole path") from error


def age_of(hours: object) -> timedelta:
    """A limit on the age, from hours.

    Raises:
        UsageError: it is no number from 0 on, or no limit.
    """
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not hours >= 0:
        raise UsageError(
            f"an age of {hours!r} hours is no limit", hint="give a number, such as 26 or 0.5"
        )
    if math.isinf(hours) or hours > timedelta.max.total_seconds() / 3600:
        raise UsageError(
            "an age without end is no limit", hint="leave max_age_hours out to allow any"
        )
    return timedelta(hours=hours)


def bytes_of(count: object) -> int:
    """A least size.

    Raises:
        UsageError: it is no number of bytes.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise UsageError(f"{count!r} is no number of bytes", hint="give a whole number from 0 on")
    return count


def depth_of(word: str, *, sets: bool = False) -> Rung:
    """A rung of the ladder over plain files, or of the one over ``sets``, which has all of them.

    Raises:
        UsageError: there is none of that name.
    """
    depths = tuple(Rung) if sets else _DEPTHS
    if word not in depths:
        known = ", ".join(depths)
        raise UsageError(
            f'there is no rung "{word}"',
            hint=f"{did_you_mean(str(word), depths)} known: {known}".strip(),
        )
    return Rung(word)


def type_of(word: object) -> PlainType:
    """A type of backup.

    Raises:
        UsageError: there is none of that name.
    """
    if word is not None and not isinstance(word, str):
        raise UsageError(f"{word!r} is no type of backup", hint="such as postgres, or valkey-rdb")
    return PlainType.named(word)


def _plan(name: str, entry: Mapping[str, object], depth: Rung | None) -> PlainPlan:
    for key in entry:
        if key not in KEYS:
            suggestion = did_you_mean(str(key), KEYS)
            raise UsageError(
                f'{name}: "{key}" is not a known key',
                hint=suggestion or f"known keys: {', '.join(KEYS)}",
            )
    path = entry.get("path")
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"{name}: the key path is missing", hint="name a file, folder or pattern")
    expected = entry.get("expected")
    if expected is not None and not isinstance(expected, Fingerprint):
        raise UsageError(
            f"{name}: expected should be a fingerprint of the source",
            hint="such as the one in a manifest, or BackupVerifier.content of a restore",
        )
    hours, own = entry.get("max_age_hours"), entry.get("depth")
    try:
        return PlainPlan(
            name,
            path_of(path),
            type=type_of(entry.get("type")),
            max_age=None if hours is None else age_of(hours),
            min_size=bytes_of(entry.get("min_bytes", 1)),
            expected=expected,
            depth=depth if own is None else depth_of(str(own)),
        )
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", hint=error.hint) from error
