"""Whose signatures count: the public keys in one folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from restoreproof.atomic import make_folder
from restoreproof.errors import Inconclusive, UsageError
from restoreproof.signing.keys import PublicKey


class TrustedKeys:
    """The trusted public keys, by key id.

    Trusting nobody is not a pass: :meth:`require` refuses it, and everything that checks a
    signature calls it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Read all ``*.pub`` files of ``folder``; a missing folder trusts nobody.

        Raises:
            UsageError: the folder or a file in it cannot be read, or is not a key.
        """
        self._keys: dict[str, PublicKey] = {}
        self._where = f"in {folder}" if folder else "given"
        if folder is None:
            return
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".pub")
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(
                f"the folder of trusted keys {folder} cannot be read: {error.strerror}"
            ) from None
        for path in paths:
            key = PublicKey.load(path)
            self._keys[key.key_id] = key

    @classmethod
    def of(cls, *keys: PublicKey) -> TrustedKeys:
        """Exactly these keys."""
        trusted = cls()
        trusted._keys = {key.key_id: key for key in keys}
        return trusted

    @staticmethod
    def add(folder: Path, key: PublicKey) -> Path:
        """Trust ``key`` from now on: write it into ``folder`` under a name made of its id.

        Returns:
            the file; nothing is written when the key is there already.

        Raises:
            NoSpace, Unreachable: the folder cannot be written.
            Refused: another file has that name.
        """
        path = folder / f"{key.key_id[:16]}.pub"
        make_folder(folder)
        if path.exists() and PublicKey.load(path) == key:
            return path
        key.save(path)
        return path

    def get(self, key_id: str) -> PublicKey | None:
        """The trusted key with exactly that id."""
        return self._keys.get(key_id)

    def require(self) -> None:
        """Raise :class:`~restoreproof.errors.Inconclusive` when nobody is trusted."""
        if not self._keys:
            raise Inconclusive(
                f"no trusted key {self._where}: a signature cannot be judged",
                hint="trust the key of the machine that makes the backups: "
                "inv backup.keys --trust FILE",
            )

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)
