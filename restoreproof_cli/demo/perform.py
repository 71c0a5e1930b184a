"""Sets the demo's stage, plays the story, and clears everything away."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from backup_lib.kinds import SANDBOXES
from backup_lib.work import Work
from restoreproof.errors import MissingExtra, UsageError
from restoreproof.tasking import Run
from restoreproof_cli.demo.story import Stage, Story, play


def perform(run: Run, kept: ExitStack | None = None) -> Story:
    """Play the demo.

    Args:
        run: listeners and the request to stop.
        kept: servers and files stay until this is closed; else they are gone at the end.

    Raises:
        UsageError: they are to be kept, and nobody can say for how long.
        MissingExtra: the servers or the data are not installed.
        Inconclusive: the servers do not start here.
    """
    if kept is not None and not sys.stdin.isatty():
        raise UsageError(
            "--keep waits for Enter, and standard input is no terminal",
            hint="run it in a terminal, or leave --keep out",
        )
    with ExitStack() as cleared:
        folder = Path(tempfile.mkdtemp(prefix="restoreproof-demo-"))
        cleared.callback(shutil.rmtree, folder, ignore_errors=True)
        work = Work(emit=run.emit, cancel=run.cancel, scratch=folder)
        try:
            plugin = SANDBOXES.load("process")
            settings = plugin.settings().model_validate({})
            sandbox = plugin.from_settings("demo", settings, folder)
            stage = cleared.enter_context(Stage(folder, sandbox, work))
            story = play(stage, work)
        except ModuleNotFoundError as missing:
            raise MissingExtra(f"the demo ({missing.name})", "demo") from missing
        if kept is not None:
            kept.enter_context(cleared.pop_all())
            story = replace(story, kept=_how_to_reach(stage))
        return story


def wait_for_enter() -> None:
    """Ask for Enter on the terminal; Ctrl-C does as well."""
    try:
        sys.stderr.write("Enter ends the servers and removes everything: ")
        sys.stderr.flush()
        sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")


def _how_to_reach(stage: Stage) -> tuple[str, ...]:
    return (
        f"configuration and backups: {stage.folder}",
        f"database: psql '{stage.dsn()}'",
        f"sessions: valkey-cli -s '{stage.cache.params['unix_socket_path']}'",
    )
