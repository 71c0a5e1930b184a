"""The entry of ``restoreproof``, of ``python -m restoreproof_cli`` and of ``./inv``."""

from __future__ import annotations

import io
import sys

from restoreproof_cli.program import RestoreproofProgram
from restoreproof_cli.tasks import namespace


def main() -> None:
    """Run the task named on the command line, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a name that the locale's encoding does not know must not end a run
            stream.reconfigure(errors="backslashreplace")
    RestoreproofProgram(namespace()).run()


if __name__ == "__main__":
    main()
