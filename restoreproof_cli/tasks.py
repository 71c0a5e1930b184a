"""The tasks of the command line itself, and the namespace of all tasks."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from backup_lib.tasks import collection as backup
from hardening.tasks import collection as harden
from restoreproof.tasking import execute, options_help, task


@task(help=options_help())
def check(
    _context: Context,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Check the configuration: every problem with file, key and line. Connects to nothing."""
    from restoreproof_cli.configuration import check_configuration, render_overview

    execute(
        "config.check",
        lambda run: check_configuration(config, run.emit),
        render=render_overview,
        json=json,
        quiet=quiet,
        events=events,
    )


@task()
def schema(_context: Context) -> None:
    """Print the JSON Schema of restoreproof.toml, for editors."""
    from json import dumps

    from restoreproof_cli.configuration import configuration_schema

    execute(
        "config.schema",
        lambda _run: configuration_schema(),
        render=lambda found: dumps(found, indent=2),
    )


@task(
    help={
        "store": "kind of the store: postgres or valkey",
        "backups": "folder of the local destination",
        "json": "one JSON document on standard output",
    }
)
def init(
    _context: Context,
    store: str = "postgres",
    backups: str = "backups",
    json: bool = False,
) -> None:
    """Write a first restoreproof.toml into this folder, and say what comes next."""
    import os
    import sys
    from pathlib import Path

    from restoreproof_cli.init import begin, called_as, render_begun

    execute(
        "init",
        lambda _run: begin(Path.cwd(), store, backups, called_as(sys.argv[0], os.environ)),
        render=render_begun,
        json=json,
    )


@task(
    help={
        "keep": "leave servers and files up until Enter is pressed, for playing",
        "json": "one JSON document on standard output",
        "quiet": "no progress",
    }
)
def demo(_context: Context, keep: bool = False, json: bool = False, quiet: bool = False) -> None:
    """The whole story on real servers out of wheels: back up, prove, damage, catch, alert."""
    from contextlib import ExitStack

    from restoreproof_cli.demo.perform import perform, wait_for_enter
    from restoreproof_cli.demo.report import render_story

    with ExitStack() as kept:
        execute(
            "demo",
            lambda run: perform(run, kept if keep else None),
            render=render_story,
            json=json,
            quiet=quiet,
        )
        if keep:
            wait_for_enter()


def namespace() -> Collection:
    """All tasks of all packages."""
    root = Collection()
    root.add_task(demo)
    root.add_task(init)
    root.add_collection(Collection("config", check, schema))
    root.add_collection(backup)
    root.add_collection(harden)
    return root
