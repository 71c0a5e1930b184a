"""A secret that is easy to find again, in whatever way somebody may have written it down."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, quote_plus

from restoreproof.process import procfs

SECRET = "Zq7pl4nted:S3cret%42&x'y/9"


def forms(secret: str = SECRET) -> dict[str, bytes]:
    """The secret, and how it looks quoted or encoded, by the name of the way."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "for a URL": quote(secret, safe="").encode(),
        "for a form": quote_plus(secret).encode(),
        "as JSON": json.dumps(secret)[1:-1].encode(),
        "as Python": repr(secret)[1:-1].encode(),
        "for libpq": secret.replace("\\", "\\\\").replace("'", "\\'").encode(),
        "for a password file": secret.replace("\\", "\\\\").replace(":", "\\:").encode(),
        "in hex": raw.hex().encode(),
    }
    for skipped in range(3):  # base64 of any text in which it stands, at each alignment
        inner = base64.b64encode(raw[skipped:][: (len(raw) - skipped) // 3 * 3])
        found[f"in base64, from {skipped}"] = inner
        found[f"in URL-safe base64, from {skipped}"] = inner.translate(
            bytes.maketrans(b"+/", b"-_")
        )
    return found


def look(data: bytes, where: str, secret: str = SECRET) -> Iterator[str]:
    """Where the secret is found in some bytes."""
    return (f"{where}: {way}" for way, form in forms(secret).items() if form in data)


class Watch:
    """Looks at arguments and environment of everything that a process starts, as often as it can.

    Args:
        root: the process; its own environment may hold the secret, that of others must not.
        secret: what is looked for.
    """

    def __init__(self, root: int, secret: str = SECRET) -> None:
        self._root = root
        self._secret = secret
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seen: set[procfs.Identity] = set()
        self.found: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            for identity in procfs.members_of(self._root, self.seen):
                self._examine(identity)

    def _examine(self, identity: procfs.Identity) -> None:
        folder = Path(f"/proc/{identity[0]}")
        with suppress(OSError):
            name = (folder / "comm").read_text().strip()
            self.found.update(
                look((folder / "cmdline").read_bytes(), f"arguments of {name}", self._secret)
            )
            if identity[0] != self._root and (folder / "exe").readlink() != self._exe():
                environ = (folder / "environ").read_bytes()
                self.found.update(look(environ, f"environment of {name}", self._secret))
                self.seen.add(identity)

    def _exe(self) -> Path | None:
        """Our interpreter: between fork and exec a child still shows our own environment."""
        with suppress(OSError):
            return Path(f"/proc/{self._root}/exe").readlink()
        return None


@contextmanager
def watching(root: int) -> Iterator[Watch]:
    """Watch during the block; fails at its end when something was found."""
    with Watch(root) as watch:
        yield watch
    assert not watch.found, sorted(watch.found)
