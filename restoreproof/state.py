"""Small JSON files with what is remembered between runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from restoreproof import atomic
from restoreproof.errors import Inconclusive, Unreachable, UsageError
from restoreproof.events import Listener, Warned
from restoreproof.guard import guarded


class StateDamaged(Inconclusive):
    """A state file cannot be read; it is left as it is."""


class StateFile:
    """A JSON object in a file, read and updated as a whole.

    On disk: ``{"format": <number>, "data": {…}}``. A missing file is an empty object.

    Damage never passes silently. Without ``emit`` it is an error, and the file stays. With it the
    file is moved aside (``NAME.damaged``, ``NAME.damaged-2``, …), a warning is told, and the state
    begins empty: for memory that a run can do without.

    Args:
        path: the file; its folder is made when it is first written.
        format: version of the layout of ``data``.
        emit: who is told of a damaged file that was moved aside.
    """

    def __init__(self, path: Path, *, format: int = 1, emit: Listener | None = None) -> None:  # noqa: A002  # it is the key's name
        self._path = path
        self._format = format
        self._emit = emit

    def read(self) -> dict[str, Any]:
        """The object as it is now; changing it changes nothing on disk.

        Raises:
            StateDamaged: it is no JSON of this layout (only without ``emit``).
            UsageError: a newer version of this software wrote it.
            Unreachable: the file cannot be read.
        """
        try:
            return self._load()
        except StateDamaged:
            if self._emit is None:
                raise
        with guarded(self._path):
            return self._load_or_move_aside()

    @contextmanager
    def update(self) -> Iterator[dict[str, Any]]:
        """The object to be changed; written when the block ends well, else left as it was.

        Others wait meanwhile, so keep the block short.

        Raises:
            LockHeld: another process stays in an update for more than ten seconds.
            NoSpace, Unreachable: it cannot be written.
            StateDamaged, UsageError: as for :meth:`read`.
        """
        atomic.make_folder(self._path.parent)
        with guarded(self._path):
            data = self._load_or_move_aside()
            yield data
            document = {"format": self._format, "data": data}
            text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
            atomic.write_bytes(self._path, text.encode() + b"\n", alone=True)

    def _load(self) -> dict[str, Any]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Unreachable(
                f"{self._path} cannot be read: {(error.strerror or 'unknown reason').lower()}",
                hint="check its permissions",
            ) from error
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._damaged() from error
        match document:
            case {"format": int(found), "data": dict(data)} if found == self._format:
                return data
            case {"format": int(found)} if found > self._format:
                raise UsageError(
                    f"{self._path} was written by a newer version of restoreproof",
                    hint="use that version, or move the file away to begin without it",
                )
        raise self._damaged()

    def _damaged(self) -> StateDamaged:
        return StateDamaged(
            f"{self._path} is damaged",
            hint="bring it back from a copy, or move it away to begin without it",
        )

    def _load_or_move_aside(self) -> dict[str, Any]:
        try:
            return self._load()
        except StateDamaged as error:
            if self._emit is None:
                raise
            aside = self._move_aside()
            self._emit(
                Warned(f"{error.message}; it was moved to {aside.name}", hint="begun without it")
            )
            return {}

    def _move_aside(self) -> Path:
        number = 1
        while True:
            suffix = ".damaged" if number == 1 else f".damaged-{number}"
            aside = self._path.with_name(self._path.name + suffix)
            if not aside.exists():
                break
            number += 1
        self._path.rename(aside)  # in the guarded section: nobody takes the name meanwhile
        atomic.fsync_folder(self._path.parent)
        return aside
