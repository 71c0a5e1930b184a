"""A first configuration: one store, one set, one local destination, written into this folder."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from restoreproof.config import FILE_NAME
from restoreproof.errors import Refused, UsageError
from restoreproof.reporters.text import one_line


@dataclass(frozen=True, slots=True)
class _Template:
    """What a first configuration says of a kind of store.

    Attributes:
        name: of the store.
        lines: of its table, after ``kind``.
        secret: a command that sets the secret which they refer to.
    """

    name: str
    lines: str
    secret: str


_STORES = {
    "postgres": _Template(
        "orders",
        """\
dsn = { env = "ORDERS_DSN" }
assertions = ["select count(*) > 0 from orders"]   # asked in the restored copy""",
        "export ORDERS_DSN='host=db1 dbname=orders user=backup sslmode=verify-full'",
    ),
    "valkey": _Template(
        "sessions",
        """\
url = "valkeys://cache1:6379/0"
username = "backup"
password = { env = "SESSIONS_PASSWORD" }
assertions = ["DBSIZE > 0"]   # asked in the restored copy""",
        "export SESSIONS_PASSWORD='…'",
    ),
}

_STEPS = ("backup.keys --make", "backup.doctor", "backup.run", "backup.verify")

COMMAND = "RESTOREPROOF_COMMAND"

_TEXT = """\
# Every option: {inv} config.schema, and restoreproof.example.toml. Is it right: {inv} config.check

[set.nightly]
stores = ["{name}"]
destination = "disk"
rpo = "24h"   # how old the newest backup may become

# A secret is a reference to an environment variable or a file, never the value itself.
[store.{name}]
kind = "{kind}"
{lines}

# The folder has to exist: one that is missing may be a disk that is not mounted. Another disk than
# that of the database is better; a relative path starts from the folder of this file.
[destination.disk]
kind = "local"
path = {path}
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """A configuration that was written.

    Attributes:
        path: the file.
        steps: commands that come next, in order.
    """

    path: Path
    steps: tuple[str, ...]


def called_as(program: str, environ: Mapping[str, str]) -> str:
    """How somebody would call this program again, quoted for a shell.

    Args:
        program: how it was started: the first of ``sys.argv``.
        environ: ``RESTOREPROOF_COMMAND``, which ``./inv`` sets, goes before.
    """
    called = environ.get(COMMAND) or program
    name = Path(called).name
    if name.endswith(".py"):  # run as a module
        return "inv"
    found = shutil.which(name, path=environ.get("PATH", ""))
    return shlex.quote(name if found and Path(found) == Path(called) else called)


def begin(folder: Path, kind: str, backups: str, command: str = "inv") -> Begun:
    """Write ``restoreproof.toml`` into ``folder``; nothing that is there is overwritten.

    Args:
        folder: of the file.
        kind: of the store.
        backups: folder of the destination.
        command: how this program is called, quoted for a shell.

    Raises:
        UsageError: there is no template for that kind of store.
        Refused: there is a configuration already.
    """
    from json import dumps

    from restoreproof.atomic import write_bytes
    from restoreproof.kinds import did_you_mean

    if kind not in _STORES:
        known = ", ".join(_STORES)
        hint = did_you_mean(kind, _STORES) or f"known: {known}"
        raise UsageError(f'there is no template for a store "{kind}"', hint=hint)
    path = folder / FILE_NAME
    if path.exists():
        raise Refused(f"{path} is there already", hint="edit it, or begin in another folder")
    template = _STORES[kind]
    # a basic TOML string is a JSON string
    text = _TEXT.format(
        kind=kind, name=template.name, lines=template.lines, path=dumps(backups), inv=command
    )
    write_bytes(path, text.encode(), 0o644, exclusive=True)
    steps = (
        template.secret,
        f"mkdir -p -m 700 {shlex.quote(backups)}",
        *(f"{command} {step}" for step in _STEPS),
    )
    return Begun(path, steps)


def render_begun(begun: Begun) -> RenderableType:
    """The file, and what comes next."""
    lines = [Text(f"{one_line(str(begun.path))} is written. Next:", "green")]
    return Group(*lines, *(Text(f"  {one_line(step)}") for step in begun.steps))
