"""What this machine remembers of earlier verifications.

Two things rest on it: that a set which was proven need not be restored every night, and that sets
which were there before and are gone now (a rollback to an older state) are noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backup_lib.model import Comparison, RungResult
from backup_lib.services.archive import PublishedSet
from restoreproof.clock import from_rfc3339, rfc3339
from restoreproof.errors import Inconclusive, UsageError
from restoreproof.state import StateFile
from restoreproof.verdict import Verdict

if TYPE_CHECKING:
    from pydantic import TypeAdapter


FORGET = timedelta(days=90)
"""After that a proof is dropped from the file, whatever ``remember`` says."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """An earlier proof of the very same bytes."""

    at: datetime
    rungs: tuple[RungResult, ...]
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest set that was ever seen under a name."""

    sequence: int
    digest: str
    at: datetime


class Memory:
    """The verifier's memory: a state file that may be lost at the price of *cannot tell*."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = StateFile(path)

    def seen(self, place: str, set_name: str) -> Seen | None:
        """The newest set seen so far in the destination ``place``.

        Raises:
            Inconclusive: what is remembered cannot be read.
        """
        with self._readable(set_name):
            entry = _seen(self._file.read(), place, set_name)
            return None if entry is None else _as_seen(entry)

    def saw(self, place: str, newest: PublishedSet, at: datetime, *, replace: bool = False) -> None:
        """Remember ``newest``; an older one takes a newer one's place only with ``replace``.

        Raises:
            Inconclusive: what is remembered cannot be read; it is left as it is.
        """
        name = newest.manifest.set_name
        with self._readable(name), self._file.update() as data:
            known = _seen(data, place, name)
            if replace or known is None or newest.manifest.sequence >= _as_seen(known).sequence:
                data.setdefault("newest", {}).setdefault(place, {})[name] = {
                    "sequence": newest.manifest.sequence,
                    "digest": newest.digest,
                    "at": rfc3339(at),
                }

    def proven(self, key: str, now: datetime, within: timedelta) -> Remembered | None:
        """The proof remembered under ``key``, if it is no older than ``within``."""
        entry = _proofs(self._file.read()).get(key)
        if entry is None:
            return None
        try:
            remembered = _adapter().validate_python(entry, strict=False)
        except ValueError:
            return None  # of an older layout: it is proven anew
        if not timedelta() <= now - remembered.at <= within:
            return None
        rungs = tuple(replace(rung, remembered=remembered.at) for rung in remembered.rungs)
        return replace(remembered, rungs=rungs)

    def prove(
        self, key: str, at: datetime, rungs: tuple[RungResult, ...], comparison: Comparison | None
    ) -> None:
        """Remember rungs that passed. Anything else is not worth remembering: it is tried again."""
        if any(rung.verdict is not Verdict.PASSED for rung in rungs):
            raise ValueError("only passed rungs are remembered")
        with self._file.update() as data:
            proven = data["proven"] = _proofs(data)
            for old in [k for k, entry in proven.items() if _is_old(entry, at)]:
                del proven[old]
            proven[key] = _adapter().dump_python(Remembered(at, rungs, comparison), mode="json")

    @contextmanager
    def _readable(self, set_name: str) -> Iterator[None]:
        """What is remembered of a set is as it was written.

        Raises:
            Inconclusive: it is not.
        """
        try:
            yield
        except UsageError as newer:  # nothing that the caller asked for is wrong
            raise Inconclusive(newer.message, hint=newer.hint) from newer
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Inconclusive(
                f"what is remembered of {set_name} cannot be read",
                hint=f"bring {self._path} back from a copy, or move it away to begin without it",
            ) from error


def _as_seen(entry: Any) -> Seen:  # noqa: ANN401 - as it is in the file
    return Seen(int(entry["sequence"]), str(entry["digest"]), from_rfc3339(entry["at"]))


def _proofs(data: dict[str, Any]) -> dict[str, Any]:
    """All remembered proofs; none where they cannot be read: they are made anew."""
    found = data.get("proven")
    return found if isinstance(found, dict) else {}


def _seen(data: dict[str, Any], place: str, set_name: str) -> Any:  # noqa: ANN401 - as it is in the file
    """The entry of a set, from where it is kept now or, if that has none, was kept before.

    Earlier the key was a text, which ``a/b`` and ``c`` shared with ``a`` and ``b/c``; such an entry
    counts for both until each has one of its own.
    """
    entry = data.get("newest", {}).get(place, {}).get(set_name)
    return data.get("seen", {}).get(f"{place}/{set_name}") if entry is None else entry


def _is_old(entry: object, now: datetime) -> bool:
    """Whether a proof is to be dropped; what cannot be read is."""
    try:
        return now - _adapter().validate_python(entry, strict=False).at > FORGET
    except ValueError:
        return True


def proof_key(*parts: str) -> str:
    """What a remembered proof is about (digests, rungs, sandbox, assertions), as one digest."""
    joined = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        joined.update(len(encoded).to_bytes(8, "big") + encoded)
    return joined.hexdigest()


@cache
def _adapter() -> TypeAdapter[Remembered]:
    from pydantic import TypeAdapter

    return TypeAdapter(Remembered)
