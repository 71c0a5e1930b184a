"""Sets the demo's stage, plays the story, and clears everything away."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from backup_lib.kinds import SANDBOXES
from backup_lib.work import Work
from restoreproof.errors import MissingExtra
from restoreproof.tasking import Run
from restoreproof_cli.demo.story import Stage, Story, play


def perform(run: Run, *, keep: bool = False) -> Story:
    """Play the demo.

    Args:
        run: listeners and the request to stop.
        keep: leave servers and files there until Enter is pressed.

    Raises:
        MissingExtra: the servers or the data are not installed.
        Inconclusive: the servers do not start here.
    """
    folder = Path(tempfile.mkdtemp(prefix="restoreproof-demo-"))
    try:
        work = Work(emit=run.emit, cancel=run.cancel, scratch=folder)
        try:
            plugin = SANDBOXES.load("process")
            settings = plugin.settings().model_validate({})
            sandbox = plugin.from_settings("demo", settings, folder)
            with Stage(folder, sandbox, work) as stage:
                story = play(stage, work)
                if keep:
                    _wait(stage)
                return story
        except ModuleNotFoundError as missing:
            raise MissingExtra(f"the demo ({missing.name})", "demo") from missing
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(stage: Stage) -> None:
    """Say how to reach everything, and wait."""
    sys.stderr.write(
        f"\nconfiguration and backups: {stage.folder}\n"
        f"database: psql '{stage.dsn()}'\n"
        f"sessions: valkey-cli -s '{stage.cache.params['unix_socket_path']}'\n"
        "Enter ends the servers and removes everything: "
    )
    sys.stderr.flush()
    sys.stdin.readline()
