"""The tasks of the command line itself, and the namespace of all tasks."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from restoreproof.tasking import execute, options_help


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


@task
def schema(_context: Context) -> None:
    """Print the JSON Schema of restoreproof.toml, for editors."""
    from json import dumps

    from restoreproof_cli.configuration import configuration_schema

    execute(
        "config.schema",
        lambda _run: configuration_schema(),
        render=lambda found: dumps(found, indent=2),
    )


def namespace() -> Collection:
    """All tasks of all packages."""
    root = Collection()
    root.add_collection(Collection("config", check, schema))
    return root
