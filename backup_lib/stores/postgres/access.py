"""How client tools get at a database without the password in their arguments or environment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from backup_lib.model import Target
from backup_lib.stores.postgres.connection import APPLICATION
from restoreproof.errors import ConfigError
from restoreproof.process import clean_env
from restoreproof.secrets import Secret

_LIBPQ_FILES = ("HOME", "PGSYSCONFDIR", "KRB5CCNAME")
"""Where libpq looks for ``.pgpass``, client certificates and tickets."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a client tool is started with.

    Attributes:
        conninfo: for ``--dbname``; holds no secret.
        env: the whole environment; holds no secret.
        pass_fds: descriptors that the tool must inherit.
    """

    conninfo: str
    env: Mapping[str, str]
    pass_fds: tuple[int, ...]


@contextmanager
def access(
    target: Target, *, dbname: str | None = None, application: str = APPLICATION
) -> Iterator[Access]:
    """Access for tools started within the block.

    The password is in a file that only this process and its children can name: it is in memory,
    has no path, and is gone with the last process that has it open, whatever way that ends.
    Where the system has no such files, it is a file of mode 0600 in a folder of our own.

    Raises:
        ConfigError: a password with a line break, which no password file can hold.
    """
    params = {"connect_timeout": "10", **target.params, "application_name": application}
    if dbname is not None:
        params["dbname"] = dbname
    # a disposable server asks for none of that, and what is restored there may be anybody's
    files = () if target.disposable else _LIBPQ_FILES
    env = clean_env(**{key: os.environ[key] for key in files if os.environ.get(key)})
    if target.password is None:
        yield Access(make_conninfo("", **params), env, ())
        return
    with _password_file(target.password) as (path, fds):
        params["passfile"] = path
        yield Access(make_conninfo("", **params), env, fds)


@contextmanager
def _password_file(password: Secret) -> Iterator[tuple[str, tuple[int, ...]]]:
    text = password.reveal()
    if "\n" in text or "\r" in text:
        raise ConfigError(
            "the PostgreSQL password holds a line break",
            hint="remove it: it is most likely at the end of the file that the password is in",
        )
    escaped = text.replace("\\", "\\\\").replace(":", "\\:")
    line = f"*:*:*:*:{escaped}\n".encode()
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory(prefix="restoreproof-") as folder:
            file = Path(folder, "pgpass")
            file.touch(0o600)
            file.write_bytes(line)
            yield str(file), ()
        return
    fd = os.memfd_create("restoreproof", os.MFD_CLOEXEC)
    try:
        os.fchmod(fd, 0o600)  # libpq ignores a password file that others can read
        os.write(fd, line)
        yield f"/dev/fd/{fd}", (fd,)
    finally:
        os.close(fd)
