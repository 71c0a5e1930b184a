"""The ``harden`` tasks: parse arguments, call one service, render the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from restoreproof.tasking import execute, options_help

if TYPE_CHECKING:
    from hardening.config import HardeningConfig
    from hardening.services.scan import Report


_REPORTS = {
    "sarif": "write one SARIF file a tool into this folder",
    "markdown": "write a summary for a pull request to this file",
    "output": "write the result document to this file too",
}
"""Help of the options that all judging tasks share."""


def _config(explicit: str | None) -> HardeningConfig:
    """The configuration; without any file, every kind of scanner as it is by default."""
    from hardening.config import HardeningConfig, load
    from restoreproof.config.document import found_here

    if not explicit and found_here() is None:
        return HardeningConfig(None, Path.cwd())
    return load(explicit)


@task(
    iterable=["only"],
    help=options_help(
        only="a scanner by its name or kind; may be given again; all of them where it is left out",
        offline="ask no service on the network",
        write_baseline="write what is there now to the baseline of the configuration",
        **_REPORTS,
    ),
)
def scan(
    _context: Context,
    only: list[str],
    offline: bool = False,
    sarif: str | None = None,
    markdown: str | None = None,
    output: str | None = None,
    write_baseline: bool = False,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Run the scanners and judge what they say: clean, findings, or could not judge."""
    from hardening.reports.console import render_report
    from hardening.services import policy_files as baseline
    from hardening.services.scan import Options, scan_and_judge
    from restoreproof.tasking import Run

    def call(run: Run) -> Report:
        chosen = _config(config)
        report = scan_and_judge(
            _before_adoption(chosen) if write_baseline else chosen,
            Options(tuple(only), offline=offline),
            emit=run.emit,
            cancel=run.cancel,
        )
        if write_baseline:
            baseline.write_baseline(_baseline(chosen), report.judgement)
        _write_reports(report, sarif, markdown, output)
        return report

    execute("harden.scan", call, render=render_report, json=json, quiet=quiet, events=events)


def _baseline(config: HardeningConfig) -> Path:
    from restoreproof.errors import UsageError

    if config.settings.baseline is None:
        raise UsageError(
            "the configuration names no baseline", hint='[hardening] baseline = "baseline.json"'
        )
    return config.settings.baseline


def _before_adoption(config: HardeningConfig) -> HardeningConfig:
    """The configuration without the baseline that is about to be written for the first time."""
    from dataclasses import replace

    if _baseline(config).exists():
        return config
    return replace(config, settings=config.settings.model_copy(update={"baseline": None}))


def _write_reports(
    report: Report, sarif: str | None, markdown: str | None, output: str | None
) -> None:
    from hardening.reports.markdown import markdown_summary
    from hardening.reports.sarif import write_sarif
    from restoreproof.atomic import write_bytes
    from restoreproof.reporters.document import result_text

    if sarif:
        write_sarif(report.judgement, Path(sarif))
    if markdown:
        write_bytes(Path(markdown), markdown_summary(report).encode(), 0o644)
    if output:
        verdict = report.verdict
        text = result_text("harden.scan", report, verdict=verdict, exit_code=verdict.exit_code)
        write_bytes(Path(output), f"{text}\n".encode(), 0o644)


@task(
    positional=["rule"],
    help={"rule": "a rule by any of its names: DS-0002, DL3002, root-user", "json": "as JSON"},
)
def explain(_context: Context, rule: str, json: bool = False) -> None:
    """What a rule means and what to do about it; works offline."""
    from hardening.reports.explanation import render_explanation
    from hardening.services.explain import explain as explain_rule

    execute("harden.explain", lambda _run: explain_rule(rule), render=render_explanation, json=json)


@task(
    help=options_help(output="the file to write", root="the folder; the configuration's by default")
)
def sbom(
    _context: Context,
    output: str = "sbom.cdx.json",
    root: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Write a software bill of materials in CycloneDX, through Trivy."""
    from hardening.services.sbom import Sbom, write_sbom
    from restoreproof.reporters.text import one_line

    def told(bill: Sbom) -> str:
        return (
            f"{one_line(str(bill.path))} names {bill.components} components (trivy {bill.version})"
        )

    execute(
        "harden.sbom",
        lambda run: write_sbom(
            Path(root) if root else _config(config).root, Path(output).absolute(), run.cancel
        ),
        render=told,
        json=json,
        quiet=quiet,
        events=events,
    )


@task(
    positional=["image"],
    help=options_help(
        image="reference or id of the image; nothing is pulled",
        offline="ask no service on the network",
        **_REPORTS,
    ),
)
def image(
    _context: Context,
    image: str,
    offline: bool = False,
    sarif: str | None = None,
    markdown: str | None = None,
    output: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Judge a built image: its configuration, the files of all layers, its packages."""
    from hardening.reports.console import render_report
    from hardening.services.targets import judge_image
    from restoreproof.tasking import Run

    def call(run: Run) -> Report:
        report = judge_image(_config(config), image, run, offline=offline)
        _write_reports(report, sarif, markdown, output)
        return report

    execute("harden.image", call, render=render_report, json=json, quiet=quiet, events=events)


@task(
    iterable=["file"],
    help=options_help(
        file="a Compose file; may be given again, later ones over earlier ones",
        **_REPORTS,
    ),
)
def compose(
    _context: Context,
    file: list[str],
    sarif: str | None = None,
    markdown: str | None = None,
    output: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Judge Compose files that belong together, merged as Compose does."""
    from hardening.reports.console import render_report
    from hardening.services.targets import judge_compose
    from restoreproof.tasking import Run

    def call(run: Run) -> Report:
        report = judge_compose(_config(config), file, run)
        _write_reports(report, sarif, markdown, output)
        return report

    execute("harden.compose", call, render=render_report, json=json, quiet=quiet, events=events)


@task(
    iterable=["container"],
    help=options_help(
        container="name or id of a running container; all of them where it is left out",
        **_REPORTS,
    ),
)
def live(
    _context: Context,
    container: list[str],
    sarif: str | None = None,
    markdown: str | None = None,
    output: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Judge how containers run, on the engine that DOCKER_HOST names."""
    from hardening.reports.console import render_report
    from hardening.services.targets import judge_live
    from restoreproof.tasking import Run

    def call(run: Run) -> Report:
        report = judge_live(_config(config), container, run)
        _write_reports(report, sarif, markdown, output)
        return report

    execute("harden.live", call, render=render_report, json=json, quiet=quiet, events=events)


collection = Collection("harden", scan, image, compose, live, explain, sbom)
