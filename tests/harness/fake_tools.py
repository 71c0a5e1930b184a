"""Client tools that misbehave: the real ones, each behind a script that injures what it does."""

from __future__ import annotations

from pathlib import Path

HALF_AND_EXIT_0 = '"$REAL" "$@" | head -c "$(($(cat "$HERE/bytes") / 2))"; exit 0'
ALL_BUT_THE_LAST_BYTE = '"$REAL" "$@" | head -c -1; exit 0'
ALL_AND_EXIT_1 = '"$REAL" "$@"; exit 1'
ALL_AND_KILLED = '"$REAL" "$@"; kill -9 $$'
NOTHING_AND_EXIT_0 = "exit 0"
GARBAGE_AND_EXIT_0 = "head -c 100000 /dev/urandom; exit 0"
TRAILING_GARBAGE = '"$REAL" "$@"; echo garbage; exit 0'
PIPE_CUT = '"$REAL" "$@" | head -c 20000; exec >&-; sleep 0.1; exit 1'
WAITS_FOR_THE_GATE = (
    'touch "$HERE/waiting"; while [ ! -e "$HERE/gate" ]; do sleep 0.02; done; exec "$REAL" "$@"'
)

_SCRIPT = """\
#!/bin/sh
PATH=/usr/bin:/bin
HERE={here}
REAL={real}
case "$1" in --version) exec "$REAL" "$@";; esac
{behaviour}
"""


def fake_tool(folder: Path, programs: Path, tools: str | tuple[str, ...], behaviour: str) -> Path:
    """Put tools with that behaviour, and links to its real companions, into a new folder.

    Args:
        folder: is made; what the scripts leave to each other lies in it.
        programs: where the real tools are.
        tools: the ones that misbehave; they say their version rightly.
        behaviour: shell, with ``$REAL`` the real tool and ``$HERE`` the folder.
    """
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore"):
        tool = folder / name
        if name in ((tools,) if isinstance(tools, str) else tools):
            tool.write_text(_SCRIPT.format(here=folder, real=programs / name, behaviour=behaviour))
            tool.chmod(0o755)
        else:
            tool.symlink_to(programs / name)
    return folder
